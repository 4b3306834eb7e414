import { ErrorCode } from '../errors.ts';
import type { Log } from '../tasks/log.ts';
import type { Repeatable, RunHooks } from '../tasks/runner.ts';
import type { Outcome } from '../tasks/task.ts';
import type { EndKind, Link, ThreadHost, ThreadSpec } from './host.ts';
import type { Ask, FromThread, ToThread } from './messages.ts';

/** What the pool is told of its threads. */
export interface ThreadEvents {
  /** A place has become free; the first time, once the thread has started. */
  room(): void;
  /** Its one task has not stopped for a while: it is likely to be ended. */
  slow(): void;
  /** The thread takes no more tasks, and ends when those that still obey have finished. */
  retired(): void;
  /** Its one task waits for an answer, and so needs no processor; and no longer. */
  parked(): void;
  resumed(): void;
  /** The thread takes no more tasks, and is about to be gone. */
  lost(): void;
  /** The thread has ended; `tools` are those that it ran, whose tasks have been told. */
  gone(reason: string, kind: EndKind, tools: readonly string[]): void;
}

interface ThreadOptions {
  /** How long a task that is asked to stop may take before its thread is ended. */
  readonly graceMs: number;
  /** Tasks after which it retires; undefined: never. */
  readonly recycleAfter: number | undefined;
}

/** What a thread takes to start, and some more. */
const LEAD_MS = 150;

/** A run of a task, on its place. */
interface Occupant {
  readonly run: number;
  readonly taskId: string;
  readonly tool: string;
  readonly place: number;
  readonly hooks: RunHooks;
  /** What is left of its time. */
  timeoutMs: number | undefined;
  /** When its time began to run. */
  timedFrom: number;
  /** Questions that it waits for. */
  asks: number;
  timeout?: NodeJS.Timeout;
  /** Set while it has been asked to stop and may still do so by itself. */
  grace?: NodeJS.Timeout;
  /** Its thread has read the last request to stop, so the thread's event loop turns. */
  heard: boolean;
  /** It has been asked again after its grace period. */
  askedAgain: boolean;
  overdue: boolean;
  ended: boolean;
}

/**
 * The parent's end of one thread: its places, and the tasks on them.
 *
 *     starting ──> ready ──> retiring ──> gone
 *        └───────────┴────────────────────^
 *
 * A task that is asked to stop sees the flag or the signal and finishes. When it has not within the
 * grace period, a thread that serves only it is ended. A shared thread whose event loop turns
 * retires: the others on it finish first. One whose event loop is blocked is ended with all on it.
 */
export class Thread {
  /** Tells it from all other threads of the pool. */
  readonly id: number;
  /** Its heap limit. */
  readonly maxMemoryMb: number;
  readonly #events: ThreadEvents;
  readonly #options: ThreadOptions;
  readonly #log: Log;
  readonly #link: Link;
  readonly #shared: boolean;
  readonly #free: number[];
  readonly #running = new Map<number, Occupant>();
  #lastRun = 0;
  #started = false;
  /** Tasks that have finished here. */
  #served = 0;
  #state: 'starting' | 'ready' | 'retiring' | 'gone' = 'starting';
  /** Why it is ended, where we do that. */
  #reason: string | undefined;

  constructor(
    id: number,
    host: ThreadHost,
    spec: ThreadSpec,
    options: ThreadOptions,
    log: Log,
    events: ThreadEvents,
  ) {
    this.id = id;
    this.maxMemoryMb = spec.maxMemoryMb;
    this.#events = events;
    this.#options = options;
    this.#log = log;
    this.#shared = spec.places > 1;
    this.#free = Array.from({ length: spec.places }, (_, place) => spec.places - 1 - place);
    this.#link = host.open(spec, {
      message: (message) => this.#receive(message),
      lost: () => {
        this.#state = 'retiring';
        events.lost();
      },
      ended: (reason, kind) => this.#gone(this.#reason ?? reason, kind),
    });
  }

  /** Whether it has ever started. */
  get started(): boolean {
    return this.#started;
  }

  /** How many more tasks it takes. */
  get room(): number {
    return this.#state === 'ready' ? this.#free.length : 0;
  }

  /** @returns what asks the run to stop, and in the end makes it stop */
  run(
    message: Omit<ToThread & { type: 'run' }, 'type' | 'run' | 'place'>,
    timeoutMs: number | undefined,
    hooks: RunHooks,
  ): () => void {
    const { taskId, tool } = message;
    const run = ++this.#lastRun;
    const place = this.#free.pop()!;
    const occupant: Occupant = {
      run,
      taskId,
      tool,
      place,
      hooks,
      timeoutMs,
      timedFrom: 0,
      asks: 0,
      heard: false,
      askedAgain: false,
      overdue: false,
      ended: false,
    };
    this.#running.set(run, occupant);
    if (this.#state !== 'starting') this.#limitTime(occupant);
    this.#link.post({ type: 'run', ...message, run, place });
    return () => this.#stop(occupant);
  }

  /** Ends the thread, whatever it does. */
  end(reason: string): void {
    this.#reason ??= reason;
    if (this.#state === 'ready') {
      this.#state = 'retiring';
      this.#events.lost();
    }
    this.#link.end();
  }

  #receive(message: FromThread): void {
    if (message.type === 'ready') {
      this.#started = true;
      // It was ended before it had started, and has been heard of once more.
      if (this.#reason !== undefined) return;
      this.#state = 'ready';
      for (const occupant of this.#running.values()) this.#limitTime(occupant);
      if (this.room > 0) this.#events.room();
      return;
    }
    if (message.type === 'fault') {
      this.#fault(message);
      return;
    }
    const occupant = this.#running.get(message.run);
    if (occupant === undefined) return;
    switch (message.type) {
      case 'progress':
        if (!occupant.ended) occupant.hooks.progress(message.progress);
        return;
      case 'log':
        if (!occupant.ended) occupant.hooks.log(message.entries);
        return;
      case 'checkpoint':
        if (!occupant.ended) occupant.hooks.checkpoint(message.json);
        return;
      case 'cancelling':
        occupant.heard = true;
        return;
      case 'ask':
        for (const asked of message.asks) this.#ask(occupant, asked);
        return;
      case 'finished':
        if (message.stack !== undefined && !occupant.ended) {
          const { tool, taskId } = occupant;
          this.#log.warn({ tool, taskId, stack: message.stack }, 'a tool threw');
        }
        this.#leave(occupant, message.outcome, message.mayRepeat === true ? 'failed' : undefined);
        if (++this.#served === this.#options.recycleAfter) this.#retire();
        if (this.#state === 'ready') this.#events.room();
        else this.#endWhenAlone();
    }
  }

  /** Its time does not run while it waits for the caller. */
  #ask(occupant: Occupant, { ask, question }: Ask): void {
    const { run } = occupant;
    if (occupant.ended) return;
    if (occupant.asks++ === 0) {
      clearTimeout(occupant.timeout);
      if (occupant.timeoutMs !== undefined) occupant.timeoutMs -= performance.now() - occupant.timedFrom;
      this.#events.parked();
    }
    occupant.hooks.ask(question, (answer) => {
      if (!this.#running.has(run)) return;
      if (--occupant.asks === 0) {
        this.#limitTime(occupant);
        this.#events.resumed();
      }
      this.#link.post({ type: 'answer', run, ask, answer });
    });
  }

  #limitTime(occupant: Occupant): void {
    const { tool, timeoutMs, ended } = occupant;
    if (timeoutMs === undefined || ended) return;
    occupant.timedFrom = performance.now();
    occupant.timeout = setTimeout(() => {
      const message = `${tool} timed out after ${timeoutMs} ms`;
      this.#finish(occupant, { type: 'error', code: ErrorCode.timeout, message }, 'failed');
      this.#stop(occupant);
    }, timeoutMs);
  }

  #stop(occupant: Occupant): void {
    if (this.#running.has(occupant.run) && occupant.grace === undefined) this.#askToStop(occupant);
  }

  #askToStop(occupant: Occupant): void {
    occupant.heard = false;
    const { graceMs } = this.#options;
    const leadMs = this.#shared ? 0 : Math.min(LEAD_MS, graceMs / 2);
    occupant.grace = setTimeout(() => {
      if (leadMs > 0) this.#events.slow();
      occupant.grace = setTimeout(() => {
        // Where this process was too busy to hear that it has finished, it hears that first.
        setImmediate(() => this.#running.has(occupant.run) && this.#overrun(occupant));
      }, leadMs);
    }, graceMs - leadMs);
    this.#link.post({ type: 'cancel', run: occupant.run, place: occupant.place });
  }

  /** The grace period of a task that was asked to stop is over. */
  #overrun(occupant: Occupant): void {
    if (!this.#shared || !occupant.heard) {
      this.end(`the thread was ended because ${occupant.tool} did not stop`);
    } else if (!occupant.askedAgain) {
      // The event loop turned when it was asked, but it may have been blocked since.
      occupant.askedAgain = true;
      this.#askToStop(occupant);
    } else {
      occupant.overdue = true;
      this.#retire();
    }
  }

  /**
   * Something of a task's that nobody caught. The task that it comes from fails, unless it has ended; the
   * others go on. Nobody knows in what state the thread is, so it serves no more than those.
   */
  #fault({ call, mayRepeat, message, stack }: FromThread & { type: 'fault' }): void {
    const occupant = call && this.#running.get(call.run);
    const fields = { ...(call && { taskId: call.taskId, tool: call.tool }), thread: this.id, stack };
    if (occupant === undefined) {
      this.#log.warn(
        fields,
        `nobody caught what ${call?.tool ?? 'a module'} left behind; its thread retires`,
      );
    } else {
      this.#log.warn(fields, `nobody caught what ${occupant.tool} threw; its thread retires`);
      this.#finish(
        occupant,
        {
          type: 'error',
          code: ErrorCode.internal,
          message: `${occupant.tool} did not finish: ${message}`,
        },
        mayRepeat === true ? 'failed' : undefined,
      );
      occupant.overdue = true;
    }
    this.#retire();
  }

  /** Takes no more tasks, and ends after those that it has, but for those that do not obey. */
  #retire(): void {
    if (this.#state === 'ready') {
      this.#state = 'retiring';
      this.#events.retired();
    }
    this.#endWhenAlone();
  }

  #endWhenAlone(): void {
    if (this.#state === 'retiring' && [...this.#running.values()].every(({ overdue }) => overdue)) {
      this.end('the thread had retired');
    }
  }

  #leave(occupant: Occupant, outcome: Outcome, repeatable: Repeatable | undefined): void {
    this.#running.delete(occupant.run);
    if (occupant.asks > 0) this.#events.resumed();
    this.#free.push(occupant.place);
    clearTimeout(occupant.grace);
    this.#finish(occupant, outcome, repeatable);
    occupant.hooks.left();
  }

  /** Tells the outcome, once. Whoever told it to stop wants no other. */
  #finish(occupant: Occupant, outcome: Outcome, repeatable: Repeatable | undefined): void {
    clearTimeout(occupant.timeout);
    if (occupant.ended) return;
    occupant.ended = true;
    occupant.hooks.finished(outcome, occupant.grace === undefined ? repeatable : undefined);
  }

  #gone(reason: string, kind: EndKind): void {
    this.#state = 'gone';
    const occupants = [...this.#running.values()];
    // Where we have ended it, that was for another's fault: the others share it as they share a process that ends.
    const repeatable = kind === 'fault' ? 'failed' : 'interrupted';
    for (const occupant of occupants) {
      const message = `${occupant.tool} did not finish: ${reason}`;
      this.#leave(occupant, { type: 'error', code: ErrorCode.internal, message }, repeatable);
    }
    this.#events.gone(
      reason,
      kind,
      occupants.map(({ tool }) => tool),
    );
  }
}
