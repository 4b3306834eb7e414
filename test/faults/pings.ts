import type { TaskClient } from 'mcp-taskpool/client';
import { expect } from 'vitest';
import type { Control } from './control.ts';
import { excusedMs } from './excuses.ts';

/** Within which a ping is answered. */
const LONGEST_MS = 100;
/**
 * Within which one ping of a test is, if not sooner: of what a machine with other work keeps from a server, the
 * control does not see all.
 */
const LONGEST_ONCE_MS = 500;
/** After which no answer is waited for: the server is gone, or deaf. */
const LOST_MS = 5000;
const PAUSE_MS = 5;

/**
 * Pings a server, one after the other, and keeps how long each took from when it was due: a server that shares
 * this thread keeps pings from being sent when it blocks it. What does not count is time that the machine, or
 * this process, kept from the server, which the control tells.
 */
export class Pings {
  readonly #client: TaskClient;
  readonly #control: Control;
  readonly #pings: { due: number; answered: number }[] = [];
  readonly #done: Promise<void>;
  #stopped = false;

  private constructor(client: TaskClient, control: Control) {
    this.#client = client;
    this.#control = control;
    this.#done = this.#ping();
    // Awaited when it is stopped.
    this.#done.catch(() => {});
  }

  /** @param pid the server's process */
  static async start(client: TaskClient, control: Control, pid: number): Promise<Pings> {
    await control.begin(pid);
    return new Pings(client, control);
  }

  /**
   * Fails unless every ping was answered in time, but for one that was not much later.
   * @throws what kept the server from answering
   */
  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#last();
    const ticks = await this.#control.end();
    expect(this.#pings.length).toBeGreaterThan(0);
    let limit = LONGEST_ONCE_MS;
    for (const { due, answered } of this.#pings) {
      const took = answered - due;
      if (took < LONGEST_MS) continue;
      const excused = excusedMs(due, answered, ticks);
      if (took - excused < LONGEST_MS) continue;
      const words = `a ping took ${took.toFixed(1)} ms, of which ${excused.toFixed(1)} ms are not the server's`;
      expect(took - excused, words).toBeLessThan(limit);
      limit = LONGEST_MS;
    }
  }

  async #last(): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const lost = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error(`a ping was not answered within ${LOST_MS} ms`)), LOST_MS);
    });
    await Promise.race([this.#done, lost]).finally(() => clearTimeout(timer));
  }

  async #ping(): Promise<void> {
    let due = nowMs();
    do {
      await this.#client.ping();
      this.#pings.push({ due, answered: nowMs() });
      due = nowMs() + PAUSE_MS;
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    } while (!this.#stopped);
  }
}

/** Milliseconds on a clock that all processes have in common. */
function nowMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}
