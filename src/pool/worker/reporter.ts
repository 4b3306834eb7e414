import { inspect } from 'node:util';
import type { LogEntry, Progress } from '../../tasks/task.ts';
import { Pace } from './pace.ts';

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
 */
export class Reporter {
  readonly #sink: Sink;
  #progress: Progress | undefined;
  #highest = -Infinity;
  #entries: LogEntry[] = [];
  #length = 0;
  #dropped = 0;
  readonly #pace = new Pace(() => this.#flush());
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
    this.#pace.due();
  }

  log(entry: LogEntry): void {
    if (this.#closed) return;
    if (this.#entries.length < LARGEST_BATCH && this.#length < LONGEST_BATCH) {
      const message = shorten(entry.message);
      this.#entries.push({ level: entry.level, message });
      this.#length += message.length;
    } else this.#dropped++;
    this.#pace.due();
  }

  /** Sends what is left. Nothing is sent afterwards. */
  close(): void {
    this.#pace.now();
    this.#closed = true;
  }

  #flush(): void {
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
