import type { ConnectionClosedError } from './errors.ts';

/** The end of a connection: it comes once, and everybody who asked is told why. */
export class Ending {
  readonly #waiting = new Set<{ fn: (error: ConnectionClosedError) => void }>();
  #error: ConnectionClosedError | undefined;

  /** Why the connection is closed; undefined while it is open. */
  get error(): ConnectionClosedError | undefined {
    return this.#error;
  }

  /** Calls once when the connection is closed; returns what takes the call off. */
  on(fn: (error: ConnectionClosedError) => void): () => void {
    const entry = { fn };
    this.#waiting.add(entry);
    return () => void this.#waiting.delete(entry);
  }

  /** Of several reasons the first counts. */
  end(error: ConnectionClosedError): void {
    if (this.#error !== undefined) return;
    this.#error = error;
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const { fn } of waiting) fn(error);
  }
}
