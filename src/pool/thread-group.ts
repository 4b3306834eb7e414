import type { EndKind } from './host.ts';
import type { Thread, ThreadEvents } from './thread.ts';

/** Shared threads that wait for their last obedient tasks, beyond which the oldest is ended. */
const MOST_RETIRING = 4;
/** Threads beyond their number, in place of those whose task waits for an answer. Each takes some 10 MB. */
const MOST_LENT = 64;
const FIRST_RESTART_MS = 100;
const LONGEST_RESTART_MS = 10_000;

interface GroupEvents {
  /** There is room for a task. */
  room(): void;
  gone(thread: Thread, reason: string, kind: EndKind, tools: readonly string[]): void;
}

export interface GroupOptions {
  /** How many threads there are to be. */
  readonly size: number;
  /** Whether a thread serves many tasks: one that retires is then replaced while it serves its last. */
  readonly shared: boolean;
  /** The heap limit of the threads that it starts with, in megabytes. */
  readonly maxMemoryMb: number;
  readonly open: (maxMemoryMb: number, events: ThreadEvents) => Thread;
}

/** The threads of one lane: as many as there are to be, whatever becomes of each. */
export class ThreadGroup {
  readonly #options: GroupOptions;
  readonly #events: GroupEvents;
  readonly #threads = new Set<Thread>();
  /** Those that would start a task at once; the last one that became free is the first to be used. */
  #free: Thread[] = [];
  readonly #retiring = new Set<Thread>();
  /** Each started to take the place of a thread that is likely to be ended. */
  readonly #spares = new Map<Thread, Thread>();
  /** Those whose task waits for an answer: another thread has their share of the processors. */
  readonly #parked = new Set<Thread>();
  readonly #restarts = new Set<NodeJS.Timeout>();
  /** Threads that ended before they had started, in a row. */
  #stillborn = 0;
  #closed = false;

  constructor(options: GroupOptions, events: GroupEvents) {
    this.#options = options;
    this.#events = events;
    this.#fill();
  }

  /** How many tasks would start at once. */
  get room(): number {
    return this.#free.reduce((sum, thread) => sum + thread.room, 0);
  }

  /**
   * A thread for one more task, whose heap limit is this one. Only where there is room. Where no thread
   * with that limit is free, another gives way to a new one.
   */
  take(maxMemoryMb = this.#options.maxMemoryMb): Thread {
    const thread = this.#free.findLast((free) => free.maxMemoryMb === maxMemoryMb);
    if (thread !== undefined) return thread;
    const [idle] = this.#free;
    this.#dismiss(idle!);
    idle!.end('the thread gave way to one with another memory limit');
    return this.#add(maxMemoryMb);
  }

  /** Says that a task was given to the thread. */
  taken(thread: Thread): void {
    if (thread.room === 0) this.#free = this.#free.filter((free) => free !== thread);
  }

  /** Ends all threads, for this reason. */
  close(reason: string): void {
    this.#closed = true;
    for (const restart of this.#restarts) clearTimeout(restart);
    for (const thread of [...this.#threads, ...this.#retiring, ...this.#spares.values()]) thread.end(reason);
  }

  #fill(): void {
    while (!this.#closed && this.#threads.size + this.#restarts.size < this.#size) this.#add();
  }

  /** How many threads there are to be now. */
  get #size(): number {
    return this.#options.size + Math.min(this.#parked.size, MOST_LENT);
  }

  #add(maxMemoryMb = this.#options.maxMemoryMb): Thread {
    const thread = this.#open(maxMemoryMb);
    this.#threads.add(thread);
    return thread;
  }

  #open(maxMemoryMb: number): Thread {
    const thread = this.#options.open(maxMemoryMb, {
      room: () => {
        this.#stillborn = 0;
        // It has stopped in time, after all.
        this.#spares.get(thread)?.end('the thread was not needed');
        this.#spares.delete(thread);
        if (this.#threads.has(thread)) this.#offer(thread);
      },
      slow: () => {
        if (!this.#closed && !this.#spares.has(thread)) this.#spares.set(thread, this.#open(maxMemoryMb));
      },
      parked: () => {
        if (this.#options.shared) return;
        this.#parked.add(thread);
        this.#fill();
      },
      resumed: () => {
        this.#parked.delete(thread);
        // One thread too many, perhaps: one that is idle, or the next that becomes so.
        const [idle] = this.#free;
        if (idle !== undefined) this.#endSurplus(idle);
      },
      retired: () => {
        this.#free = this.#free.filter((free) => free !== thread);
        if (!this.#options.shared) return;
        this.#threads.delete(thread);
        this.#retiring.add(thread);
        const [oldest] = this.#retiring;
        if (this.#retiring.size > MOST_RETIRING) oldest!.end('too many threads had retired');
        this.#fill();
      },
      lost: () => {
        this.#free = this.#free.filter((free) => free !== thread);
      },
      gone: (reason, kind, tools) => {
        if (this.#closed) return;
        this.#events.gone(thread, reason, kind, tools);
        this.#dismiss(thread);
        this.#parked.delete(thread);
        this.#retiring.delete(thread);
        for (const [slow, spare] of this.#spares) if (spare === thread) this.#spares.delete(slow);
        this.#promoteSpareOf(thread);
        if (!thread.started && kind !== 'asked') this.#pause();
        this.#fill();
      },
    });
    return thread;
  }

  #offer(thread: Thread): void {
    if (thread.room === 0 || this.#endSurplus(thread)) return;
    if (!this.#free.includes(thread)) this.#free.push(thread);
    this.#events.room();
  }

  /** Ends an idle thread where there are more than there are to be. */
  #endSurplus(idle: Thread): boolean {
    if (this.#options.shared || this.#threads.size <= this.#size) return false;
    this.#dismiss(idle);
    idle.end('the thread was lent, and is not needed any more');
    return true;
  }

  #promoteSpareOf(thread: Thread): void {
    const spare = this.#spares.get(thread);
    if (spare === undefined) return;
    this.#spares.delete(thread);
    this.#threads.add(spare);
    this.#offer(spare);
  }

  #dismiss(thread: Thread): void {
    this.#threads.delete(thread);
    this.#free = this.#free.filter((free) => free !== thread);
  }

  /** After a thread that ended before it had started: the next one might as well, so wait, longer each time. */
  #pause(): void {
    const pause = Math.min(FIRST_RESTART_MS * 2 ** this.#stillborn++, LONGEST_RESTART_MS);
    const restart = setTimeout(() => {
      this.#restarts.delete(restart);
      this.#fill();
    }, pause);
    this.#restarts.add(restart);
  }
}
