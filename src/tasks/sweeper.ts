import type { Log } from './log.ts';
import type { Purged, TaskStore } from './store.ts';

/** Expired tasks are unknown at once; their removal may wait this long, so that many leave together. */
const LEAST_PAUSE_MS = 50;
const LONGEST_TIMER_MS = 2 ** 31 - 1;
/** After which a store that failed is asked again. */
const RETRY_MS = 1000;

/** Removes expired tasks from the store, by one timer that is set to the next expiry. */
export class Sweeper {
  readonly #store: TaskStore;
  readonly #log: Log;
  readonly #expired: (purged: readonly Purged[]) => void;
  #timer: NodeJS.Timeout | undefined;
  #due = Infinity;
  #closed = false;

  constructor(store: TaskStore, log: Log, expired: (purged: readonly Purged[]) => void) {
    this.#store = store;
    this.#log = log;
    this.#expired = expired;
  }

  /** Begins with what the store has already. */
  start(): void {
    this.expect(this.#store.clock.now());
  }

  /** Says that something expires at `at` (by the store's clock). */
  expect(at: number): void {
    if (this.#closed || at >= this.#due) return;
    clearTimeout(this.#timer);
    this.#due = at;
    const pause = Math.min(Math.max(at - this.#store.clock.now(), LEAST_PAUSE_MS), LONGEST_TIMER_MS);
    this.#timer = setTimeout(() => void this.#sweep(), pause);
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
  }

  async #sweep(): Promise<void> {
    this.#due = Infinity;
    try {
      for (let purged = await this.#purge(); purged.length > 0; purged = await this.#purge()) {
        this.#expired(purged);
      }
      const next = await this.#store.nextExpiry();
      if (next !== undefined) this.expect(next);
    } catch (error) {
      this.#log.error({ err: error }, 'the store did not remove expired tasks; it is asked again');
      this.expect(this.#store.clock.now() + RETRY_MS);
    }
  }

  #purge(): Promise<readonly Purged[]> {
    return this.#store.purge(this.#store.clock.now());
  }
}
