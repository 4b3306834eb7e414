import type { TaskClient } from 'mcp-taskpool/client';
import { expect } from 'vitest';

/** Most pings; the others may fall into what else a test machine does. How fast they are is for the soak to say. */
const USUAL_MS = 100;
const LONGEST_MS = 3000;
/** After which no answer is waited for: the server is gone, or deaf. */
const LOST_MS = 5000;
const PAUSE_MS = 5;

/** Pings a server, one after the other, and keeps how long each took. */
export class Pings {
  readonly #took: number[] = [];
  readonly #done: Promise<void>;
  #stopped = false;

  constructor(client: TaskClient) {
    this.#done = this.#ping(client);
    // Awaited when it is stopped.
    this.#done.catch(() => {});
  }

  /** @throws what kept the server from answering */
  async stop(): Promise<void> {
    this.#stopped = true;
    let timer: NodeJS.Timeout | undefined;
    const lost = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error(`a ping was not answered within ${LOST_MS} ms`)), LOST_MS);
    });
    await Promise.race([this.#done, lost]).finally(() => clearTimeout(timer));
  }

  /** Fails unless every ping was answered soon. */
  check(): void {
    const took = this.#took.toSorted((a, b) => a - b);
    expect(took.length).toBeGreaterThan(0);
    expect(took.at(-1)).toBeLessThan(LONGEST_MS);
    expect(took[Math.floor((took.length - 1) / 2)]).toBeLessThan(USUAL_MS);
  }

  async #ping(client: TaskClient): Promise<void> {
    do {
      const sent = performance.now();
      await client.ping();
      this.#took.push(performance.now() - sent);
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    } while (!this.#stopped);
  }
}
