import type { LogEntry, Progress } from '../../tasks/task.ts';

const LEAST_PAUSE_MS = 50;
const LARGEST_BATCH = 100;

/** Where the reports go. */
interface Sink {
  progress(progress: Progress): void;
  log(entries: readonly LogEntry[]): void;
}

/**
 * Coalesces what a tool reports: at most one message of each kind in 50 ms, however often it calls.
 * Progress keeps the last value; log messages are gathered, and beyond 100 in a batch only counted.
 * A loop that never awaits is served by the clock at its next call, any other by a timer.
 */
export class Reporter {
  readonly #sink: Sink;
  #progress: Progress | undefined;
  #highest = -Infinity;
  #entries: LogEntry[] = [];
  #dropped = 0;
  #sentAt = -Infinity;
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(sink: Sink) {
    this.#sink = sink;
  }

  progress(progress: Progress): void {
    // The value must rise with each notification (2025-11-25, progress).
    if (this.#closed || !(progress.done > this.#highest)) return;
    this.#highest = progress.done;
    this.#progress = progress;
    this.#due();
  }

  log(entry: LogEntry): void {
    if (this.#closed) return;
    if (this.#entries.length < LARGEST_BATCH) this.#entries.push(entry);
    else this.#dropped++;
    this.#due();
  }

  /** Sends what is left. Nothing is sent afterwards. */
  close(): void {
    this.#flush();
    this.#closed = true;
  }

  #due(): void {
    const pause = this.#sentAt + LEAST_PAUSE_MS - performance.now();
    if (pause <= 0) this.#flush();
    else this.#timer ??= setTimeout(() => this.#flush(), pause);
  }

  #flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#sentAt = performance.now();
    if (this.#progress !== undefined) this.#sink.progress(this.#progress);
    this.#progress = undefined;
    if (this.#dropped > 0)
      this.#entries.push({ level: 'warning', message: `${this.#dropped} log messages dropped` });
    if (this.#entries.length > 0) this.#sink.log(this.#entries);
    this.#entries = [];
    this.#dropped = 0;
  }
}
