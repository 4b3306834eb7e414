/** How often the process's size is looked at. */
const PERIOD_MS = 50;
/** How long a thread has to say what it holds; one that computes does not. */
const ANSWER_MS = 30;
const SETTLE_MS = 500;
/** After which a thread that does not end, blocked in native code, is no longer waited for. */
const LONGEST_END_MS = 2000;
/** What the process itself needs. */
const BASE_MB = 64;
/** A thread that holds less is not what the memory went to. */
const LEAST_SHARE = 0.1;

/** A thread, as the watchdog sees it. */
export interface Watched {
  /** When it was last given a task; 0 where it never was. */
  readonly busySince: number;
  /** Asks it what it holds. */
  measure(): void;
  /** What it said it holds, in megabytes; undefined while it has not answered. */
  readonly heldMb: number | undefined;
  /** Ends it, for this reason. */
  end(reason: string): void;
  /** Resolves when it is no more, and its memory is free. */
  readonly gone: Promise<void>;
}

/**
 * Looks after the resident size of a process, which counts what no heap limit does: buffers, native
 * memory, all threads together. Over the limit, the thread that holds the most is ended.
 *
 * A thread in a synchronous loop cannot be asked, and the runtime does not say what it holds. Those
 * are taken to share what the others do not account for; of equals, the one that was given its
 * task last goes first.
 */
export class Watchdog {
  readonly #limitMb: number;
  readonly #threads: ReadonlySet<Watched>;
  readonly #timer: NodeJS.Timeout;
  #acting = false;
  /** Until then a size of no more than that before is taken for what is on its way out. */
  #settledAt = 0;
  #settlingMb = 0;

  constructor(limitMb: number, threads: ReadonlySet<Watched>) {
    this.#limitMb = limitMb;
    this.#threads = threads;
    this.#timer = setInterval(() => this.#look(), PERIOD_MS);
  }

  close(): void {
    clearInterval(this.#timer);
  }

  #look(): void {
    const sizeMb = residentMb();
    if (sizeMb <= this.#limitMb || this.#acting) return;
    // What was freed leaves the process by and by.
    if (performance.now() < this.#settledAt && sizeMb <= this.#settlingMb) return;
    this.#acting = true;
    void this.#act(sizeMb).finally(() => (this.#acting = false));
  }

  async #act(sizeMb: number): Promise<void> {
    for (const thread of this.#threads) thread.measure();
    await new Promise((resolve) => setTimeout(resolve, ANSWER_MS));
    const largest = this.#largest(Math.max(sizeMb, residentMb()));
    if (largest === undefined) return;
    largest.end(`out of memory: ${sizeMb} MB, limit ${this.#limitMb} MB`);
    let timer: NodeJS.Timeout | undefined;
    const enough = new Promise<void>((resolve) => (timer = setTimeout(resolve, LONGEST_END_MS)));
    await Promise.race([largest.gone, enough]).finally(() => clearTimeout(timer));
    this.#settledAt = performance.now() + SETTLE_MS;
    // It may have gone on for a while before it was gone.
    this.#settlingMb = Math.max(sizeMb, residentMb());
  }

  #largest(sizeMb: number): Watched | undefined {
    // One that has had no task holds nothing; it may be silent because it is starting.
    const threads = [...this.#threads].filter(({ busySince }) => busySince > 0);
    const silent = threads.filter(({ heldMb }) => heldMb === undefined).length;
    const told = threads.reduce((sum, { heldMb = 0 }) => sum + heldMb, 0);
    const share = Math.max(sizeMb - BASE_MB - told, 0) / silent;
    const held = ({ heldMb }: Watched) => heldMb ?? share;
    const [largest] = threads.toSorted((a, b) => held(b) - held(a) || b.busySince - a.busySince);
    return largest !== undefined && held(largest) >= LEAST_SHARE * this.#limitMb ? largest : undefined;
  }
}

function residentMb(): number {
  return Math.round(process.memoryUsage.rss() / 2 ** 20);
}
