import { setTimeout } from 'node:timers/promises';
import type { Connection } from './sqlite-connection.ts';
import { faultOf, unreadable } from './sqlite-errors.ts';

/** How long another process may have the file to itself. */
const LONGEST_LOCK_MS = 5000;

/** Reads what has been committed, without waiting in SQLite. */
export class Reader {
  readonly #connection: Connection;
  #refusal: Error | undefined;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  /** Refuses all from now on. */
  refuse(error: Error): void {
    this.#refusal = error;
  }

  /** @throws {StoreUnavailableError} when it cannot be read now */
  async read<T>(query: (connection: Connection) => T): Promise<T> {
    const longest = performance.now() + LONGEST_LOCK_MS;
    for (;;) {
      if (this.#refusal !== undefined) throw this.#refusal;
      try {
        return query(this.#connection);
      } catch (error) {
        const fault = faultOf(error);
        if (fault === 'statement') throw error;
        if (fault !== 'busy' || performance.now() > longest) throw unreadable(this.#connection.path, error);
      }
      await setTimeout(1 + Math.random() * 4);
    }
  }
}
