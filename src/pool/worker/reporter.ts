import { inspect } from 'node:util';
import type { LogEntry, Progress } from '../../tasks/task.ts';

const LEAST_PAUSE_MS = 50;
const LARGEST_BATCH = 100;
/** Characters of one message, and of all in a batch. */
const LONGEST_MESSAGE = 8 * 1024;
const LONGEST_BATCH = 64 * 1024;

/** Where the reports go. */
interface Sink {
  progress(progress: Progress): void;
  log(entries: readonly LogEntry[]): void;
}

/**
 * Coalesces what a tool reports: at most one message of each kind in 50 ms, however often it calls.
 * Progress keeps the last value; log messages are gathered, and beyond 100 or 64 Ki in a batch only counted.
 * A loop that never awaits is served by the clock at its next call, any other by a timer.
 */
export class Reporter {
  readonly #sink: Sink;
  #progress: Progress | undefined;
  #highest = -Infinity;
  #entries: LogEntry[] = [];
  #length = 0;
  #dropped = 0;
  #sentAt = -Infinity;
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(sink: Sink) {
    this.#sink = sink;
  }

  progress(progress: Progress): void {
    // The value must rise with each notification (2025-11-25, progress).
    if (this.#closed || !Number.isFinite(progress.done) || progress.done <= this.#highest) return;
    this.#highest = progress.done;
    const { done, total, message } = progress;
    this.#progress = {
      done,
      ...(Number.isFinite(total) && { total: total! }),
      ...(message !== undefined && { message: shorten(message) }),
    };
    this.#due();
  }

  log(entry: LogEntry): void {
    if (this.#closed) return;
    if (this.#entries.length < LARGEST_BATCH && this.#length < LONGEST_BATCH) {
      const message = shorten(entry.message);
      this.#entries.push({ level: entry.level, message });
      this.#length += message.length;
    } else this.#dropped++;
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
    this.#length = 0;
    this.#dropped = 0;
  }
}

/** A tool in JavaScript may pass anything for a message. */
function shorten(message: unknown): string {
  const text = typeof message === 'string' ? message : inspect(message, { breakLength: Infinity });
  return text.length > LONGEST_MESSAGE ? `${text.slice(0, LONGEST_MESSAGE)}…` : text;
}
