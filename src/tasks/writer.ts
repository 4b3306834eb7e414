import type { Live } from './live.ts';
import type { Log } from './log.ts';
import type { TaskStore } from './store.ts';

/**
 * How a task stands with the store: it has it as it is; or cannot take it now, and gets it later; or has it of
 * another server's hand, or not at all, so that it is not this one's any more.
 */
export type Written = 'kept' | 'behind' | 'lost';

/** After which a store that failed is asked again. */
const RETRY_MS = 500;
/** For how long it still is when the server is closing. */
const LAST_MS = 2000;

/**
 * Writes tasks to the store as they are at that time. What it cannot take, because its disk is full, say, is kept
 * here and written once it can: nothing needs to be done for that.
 */
export class Writer {
  readonly #store: TaskStore;
  readonly #log: Log;
  /** The tasks that it has not taken, and who waits for that. */
  readonly #behind = new Map<Live, (written: Exclude<Written, 'behind'>) => void>();
  #timer: NodeJS.Timeout | undefined;
  #isClosed = false;

  constructor(store: TaskStore, log: Log) {
    this.#store = store;
    this.#log = log;
  }

  /** Called by one after the other, for one task. */
  async write(live: Live): Promise<Written> {
    if (this.#behind.has(live)) return 'behind';
    const written = await this.#try(live);
    if (written === 'behind') {
      this.#behind.set(live, () => {});
      this.#tryLater();
    }
    return written;
  }

  /** Calls back when the store has a task that it could not take, as it is by then. */
  onCaughtUp(live: Live, caughtUp: (written: Exclude<Written, 'behind'>) => void): void {
    this.#behind.set(live, caughtUp);
  }

  /** Tries for a little longer, and gives up what the store does not take. */
  async close(): Promise<void> {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    const latest = performance.now() + LAST_MS;
    for (await this.#catchUp(); this.#behind.size > 0 && performance.now() < latest; await this.#catchUp()) {
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    }
    for (const [live, caughtUp] of this.#behind) {
      const { taskId, state } = live.task;
      this.#log.error(
        { taskId, state },
        'the store did not take a state, and the server is closing: it is lost',
      );
      caughtUp('lost');
    }
    this.#behind.clear();
  }

  async #try(live: Live): Promise<Written> {
    const { task, stored } = live;
    if (task === stored) return 'kept';
    try {
      // It was created before anything else is written of it.
      if (!(await this.#store.replace(stored!.state, task))) return 'lost';
      live.stored = task;
      return 'kept';
    } catch (error) {
      if (!this.#behind.has(live)) {
        const { taskId, state } = task;
        this.#log.error({ err: error, taskId, state }, 'the store did not take a state; it is asked again');
      }
      return 'behind';
    }
  }

  #tryLater(): void {
    if (this.#isClosed || this.#timer !== undefined) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      void this.#catchUp().then(() => this.#behind.size > 0 && this.#tryLater());
    }, RETRY_MS);
  }

  async #catchUp(): Promise<void> {
    const [first, ...others] = this.#behind.keys();
    if (first === undefined) return;
    // One tells for all: each waits for the same disk.
    if ((await this.#write(first)) === 'behind') {
      // Unless it is too large, which another is not.
      const caughtUp = this.#behind.get(first)!;
      this.#behind.delete(first);
      this.#behind.set(first, caughtUp);
    } else await Promise.all(others.map((live) => this.#write(live)));
  }

  async #write(live: Live): Promise<Written> {
    const write = live.writes.then(() => this.#try(live));
    live.writes = write.then(() => {});
    const written = await write;
    if (written !== 'behind') {
      const caughtUp = this.#behind.get(live)!;
      this.#behind.delete(live);
      this.#log.info({ taskId: live.task.taskId, state: live.task.state }, 'the store has caught up');
      caughtUp(written);
    }
    return written;
  }
}
