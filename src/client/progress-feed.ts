import type { Progress } from '@modelcontextprotocol/sdk/types.js';
import { tell } from './changes.ts';
import type { ProgressTokens } from './progress-tokens.ts';

/** Brings one request's progress to those who listen, until it has ended. */
export class ProgressFeed {
  readonly #tokens: ProgressTokens;
  readonly #token: string | undefined;
  readonly #listeners = new Set<{ fn: (progress: Progress) => void }>();
  #unwatch: (() => void) | undefined;
  #isOver = false;

  /** @param token undefined where the request had none: then there is nothing to hear */
  constructor(tokens: ProgressTokens, token: string | undefined) {
    this.#tokens = tokens;
    this.#token = token;
  }

  get isHeard(): boolean {
    return this.#unwatch !== undefined;
  }

  listen(fn: (progress: Progress) => void): () => void {
    if (this.#isOver || this.#token === undefined) return () => {};
    const listener = { fn };
    this.#listeners.add(listener);
    this.#unwatch ??= this.#tokens.watch(this.#token, (progress) => {
      for (const { fn } of [...this.#listeners]) tell(fn, progress);
    });
    return () => {
      if (this.#listeners.delete(listener) && this.#listeners.size === 0) this.#rest();
    };
  }

  /** The request has ended, and its token with it (2025-11-25, progress, "Behavior Requirements" 3). */
  close(): void {
    this.#isOver = true;
    this.#listeners.clear();
    this.#rest();
  }

  #rest(): void {
    this.#unwatch?.();
    this.#unwatch = undefined;
  }
}
