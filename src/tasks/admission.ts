import { RefusedError } from '../errors.ts';
import type { Log } from './log.ts';

/** Counts each owner's unfinished tasks and calls, and refuses those beyond a limit. */
export class Admission {
  readonly #limit: number;
  readonly #log: Log;
  readonly #unfinished = new Map<string, number>();

  constructor(limit: number, log: Log) {
    this.#limit = limit;
    this.#log = log;
  }

  /** @throws {RefusedError} when the owner has too many unfinished ones */
  enter(owner: string, tool: string): void {
    const unfinished = this.#unfinished.get(owner) ?? 0;
    if (unfinished >= this.#limit) {
      this.#log.warn({ owner, tool, unfinished }, 'call refused: too many unfinished');
      throw new RefusedError(
        `Too many unfinished tasks: ${unfinished} of ${this.#limit}; try again when some have ended`,
        { unfinished, limit: this.#limit },
      );
    }
    this.#unfinished.set(owner, unfinished + 1);
  }

  leave(owner: string): void {
    const unfinished = this.#unfinished.get(owner)! - 1;
    // Owners who have nothing here any more must not gather.
    if (unfinished === 0) this.#unfinished.delete(owner);
    else this.#unfinished.set(owner, unfinished);
  }
}
