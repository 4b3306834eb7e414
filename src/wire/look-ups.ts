import { RefusedError, UnknownTaskError } from '../errors.ts';
import type { Log } from '../tasks/log.ts';

const WINDOW_MS = 60_000;

/**
 * Slows down the guessing of task ids: an owner that asks for too many unknown tasks is refused
 * until the minute is over (2025-11-25, tasks, "Task Isolation and Access Control").
 */
export class LookUps {
  readonly #limit: number;
  readonly #log: Log;
  readonly #misses = new Map<string, { count: number; until: number }>();

  /** @param limit unknown tasks that an owner may ask for in a minute */
  constructor(limit: number, log: Log) {
    this.#limit = limit;
    this.#log = log;
  }

  /**
   * Makes a look-up, and counts it where the task is unknown.
   * @throws {RefusedError} when the owner has had too many
   */
  async make<T>(owner: string, lookUp: () => Promise<T>): Promise<T> {
    const now = Date.now();
    const own = this.#misses.get(owner);
    if (own !== undefined && own.until <= now) this.#misses.delete(owner);
    else if (own !== undefined && own.count >= this.#limit) {
      const retryAfterMs = own.until - now;
      throw new RefusedError(
        `Too many requests for unknown tasks; try again in ${Math.ceil(retryAfterMs / 1000)} s`,
        {
          retryAfterMs,
        },
      );
    }
    try {
      return await lookUp();
    } catch (error) {
      if (error instanceof UnknownTaskError) this.#count(owner, now);
      throw error;
    }
  }

  #count(owner: string, now: number): void {
    // Owners who come once and go must not gather here.
    if (this.#misses.size > 10_000) this.#misses.clear();
    const misses = this.#misses.get(owner) ?? { count: 0, until: now + WINDOW_MS };
    this.#misses.set(owner, misses);
    if (++misses.count === this.#limit) {
      this.#log.warn({ owner, misses: misses.count }, 'too many requests for unknown tasks');
    }
  }
}
