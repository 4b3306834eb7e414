import type { Connection } from './sqlite-connection.ts';
import { faultOf, unreadable } from './sqlite-errors.ts';
import { untilUnlocked } from './sqlite-lock.ts';

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
    try {
      return await untilUnlocked(() => {
        if (this.#refusal !== undefined) throw this.#refusal;
        return query(this.#connection);
      });
    } catch (error) {
      throw error === this.#refusal || faultOf(error) === 'statement'
        ? error
        : unreadable(this.#connection.path, error);
    }
  }
}
