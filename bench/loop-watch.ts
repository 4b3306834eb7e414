import { readFileSync } from 'node:fs';
import { clockMs } from './clock.ts';

/** A time that the event loop took to come round. */
export interface Turn {
  /** When it ended, by {@link clockMs}. */
  readonly atMs: number;
  readonly ms: number;
  /** How much of that the thread waited for a core: others' doing. Zero where the system does not tell, as the next. */
  readonly waitedMs: number;
  /** How much of it the thread ran. The rest it slept, or waited for the disk. */
  readonly ranMs: number;
}

/** Looks every millisecond how long the event loop takes to come round: what holds it, holds this. */
export class LoopWatch {
  readonly #turns: Turn[] = [];
  #timer: NodeJS.Timeout;
  #lastMs = clockMs();
  #last = times();

  constructor() {
    this.#timer = setTimeout(this.#look, 1);
  }

  end(): readonly Turn[] {
    clearTimeout(this.#timer);
    this.#look();
    clearTimeout(this.#timer);
    return this.#turns;
  }

  readonly #look = (): void => {
    const atMs = clockMs();
    const now = times();
    this.#turns.push({
      atMs,
      ms: atMs - this.#lastMs,
      waitedMs: now.waitedMs - this.#last.waitedMs,
      ranMs: now.ranMs - this.#last.ranMs,
    });
    this.#lastMs = atMs;
    this.#last = now;
    this.#timer = setTimeout(this.#look, 1);
  };
}

/** How long the main thread of this process has run, and has waited for a core; on Linux. */
function times(): { ranMs: number; waitedMs: number } {
  try {
    const [ran, waited] = readFileSync('/proc/self/schedstat', 'utf8').split(' ').map(Number);
    return { ranMs: ran! / 1e6, waitedMs: waited! / 1e6 };
  } catch {
    return { ranMs: 0, waitedMs: 0 };
  }
}
