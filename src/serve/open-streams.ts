import type { ServerResponse } from 'node:http';

/** Counts what each owner has open. */
export class OpenStreams {
  readonly #limit: number;
  readonly #counts = new Map<string, number>();

  /** @param limit what one owner may have open */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Counts an answer until it has been sent, or its client has gone; false where it would be one too many. */
  enter(owner: string, outgoing: ServerResponse): boolean {
    const count = this.#counts.get(owner) ?? 0;
    if (count >= this.#limit) return false;
    this.#counts.set(owner, count + 1);
    outgoing.once('close', () => {
      const left = this.#counts.get(owner)! - 1;
      if (left === 0) this.#counts.delete(owner);
      else this.#counts.set(owner, left);
    });
    return true;
  }
}
