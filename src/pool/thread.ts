import { MessageChannel, type MessagePort } from 'node:worker_threads';
import type { Piscina } from 'piscina';
import { ErrorCode } from '../errors.ts';
import type { RunHooks } from '../tasks/runner.ts';
import type { Outcome } from '../tasks/task.ts';
import type { FromThread, Lease, ToThread } from './messages.ts';

/** What the pool is told of its threads. */
interface ThreadEvents {
  /** A place has become free; the first time, once the thread has started. */
  room(): void;
  /** The thread takes no more tasks, and ends when those that still obey have finished. */
  retired(): void;
  /** The thread has ended, by our will or by a fault; its tasks have been told. */
  gone(reason: string, fault: boolean): void;
}

/** A task on its place. */
interface Occupant {
  readonly taskId: string;
  readonly tool: string;
  readonly place: number;
  readonly hooks: RunHooks;
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
 * The parent's end of one thread. Piscina starts the thread, gives it the lease as its one task, and
 * ends it when the lease's signal is aborted; tasks come and go over the thread's own port.
 *
 *     starting ──> ready ──> retiring ──> gone
 *        └───────────┴────────────────────^
 *
 * A task that is asked to stop sees the flag or the signal and finishes. When it has not within the
 * grace period, a thread that serves only it is ended. A shared thread whose event loop turns
 * retires: the others on it finish first. One whose event loop is blocked is ended with all on it.
 */
export class Thread {
  readonly #events: ThreadEvents;
  readonly #graceMs: number;
  readonly #port: MessagePort;
  readonly #flags: Int32Array;
  readonly #posted = sharedCells(1);
  readonly #free: number[];
  readonly #running = new Map<string, Occupant>();
  readonly #lease = new AbortController();
  #state: 'starting' | 'ready' | 'retiring' | 'gone' = 'starting';
  #id = 0;
  #reason = 'the thread was ended';

  constructor(piscina: Piscina, places: number, graceMs: number, events: ThreadEvents) {
    this.#events = events;
    this.#graceMs = graceMs;
    this.#flags = sharedCells(places);
    this.#free = Array.from({ length: places }, (_, place) => places - 1 - place);
    const { port1, port2 } = new MessageChannel();
    this.#port = port1;
    port1.on('message', (message: FromThread) => this.#receive(message));
    const lease: Lease = { port: port2, flags: this.#flags, posted: this.#posted, alone: places === 1 };
    piscina.run(lease, { transferList: [port2], signal: this.#lease.signal }).then(
      () => this.#gone('the thread ended'),
      (error: unknown) => this.#gone(this.#lease.signal.aborted ? this.#reason : faultOf(error)),
    );
  }

  /** The thread's id in its process; 0 until it has started. */
  get id(): number {
    return this.#id;
  }

  /** Whether it has ever started. */
  get started(): boolean {
    return this.#id !== 0;
  }

  get hasRoom(): boolean {
    return this.#state === 'ready' && this.#free.length > 0;
  }

  run(
    message: Omit<ToThread & { type: 'run' }, 'type' | 'place'>,
    timeoutMs: number | undefined,
    hooks: RunHooks,
  ): void {
    const { taskId, tool } = message;
    const place = this.#free.pop()!;
    this.#flags[place] = 0;
    const occupant: Occupant = {
      taskId,
      tool,
      place,
      hooks,
      heard: false,
      askedAgain: false,
      overdue: false,
      ended: false,
    };
    this.#running.set(taskId, occupant);
    if (timeoutMs !== undefined) {
      occupant.timeout = setTimeout(() => {
        const outcome: Outcome = {
          type: 'error',
          code: ErrorCode.timeout,
          message: `${tool} timed out after ${timeoutMs} ms`,
        };
        this.#finish(occupant, outcome);
        this.stop(taskId);
      }, timeoutMs);
    }
    this.#post({ type: 'run', ...message, place });
  }

  stop(taskId: string): void {
    const occupant = this.#running.get(taskId);
    if (occupant === undefined || occupant.grace !== undefined) return;
    Atomics.store(this.#flags, occupant.place, 1);
    this.#askToStop(occupant);
  }

  /** Ends the thread, whatever it does. */
  end(reason: string): void {
    this.#reason = reason;
    this.#lease.abort();
  }

  #post(message: ToThread): void {
    this.#port.postMessage(message);
    Atomics.add(this.#posted, 0, 1);
    Atomics.notify(this.#posted, 0);
  }

  #receive(message: FromThread): void {
    if (message.type === 'ready') {
      this.#id = message.thread;
      this.#state = 'ready';
      this.#events.room();
      return;
    }
    const occupant = this.#running.get(message.taskId);
    if (occupant === undefined) return;
    switch (message.type) {
      case 'progress':
        if (!occupant.ended) occupant.hooks.progress(message.progress);
        return;
      case 'log':
        if (!occupant.ended) occupant.hooks.log(message.entries);
        return;
      case 'cancelling':
        occupant.heard = true;
        return;
      case 'finished':
        this.#leave(occupant, message.outcome);
        if (this.#state === 'ready') this.#events.room();
        else this.#endWhenAlone();
    }
  }

  #askToStop(occupant: Occupant): void {
    occupant.heard = false;
    occupant.grace = setTimeout(() => this.#overrun(occupant), this.#graceMs);
    this.#post({ type: 'cancel', taskId: occupant.taskId });
  }

  /** The grace period of a task that was asked to stop is over. */
  #overrun(occupant: Occupant): void {
    const shared = this.#flags.length > 1;
    if (!shared || !occupant.heard) {
      this.end(`the thread was ended because ${occupant.tool} did not stop`);
    } else if (!occupant.askedAgain) {
      // The event loop turned when it was asked, but it may have been blocked since.
      occupant.askedAgain = true;
      this.#askToStop(occupant);
    } else {
      occupant.overdue = true;
      if (this.#state === 'ready') {
        this.#state = 'retiring';
        this.#events.retired();
      }
      this.#endWhenAlone();
    }
  }

  #endWhenAlone(): void {
    if (this.#state === 'retiring' && [...this.#running.values()].every(({ overdue }) => overdue)) {
      this.end('the thread had retired');
    }
  }

  #leave(occupant: Occupant, outcome: Outcome): void {
    this.#running.delete(occupant.taskId);
    this.#free.push(occupant.place);
    clearTimeout(occupant.grace);
    this.#finish(occupant, outcome);
  }

  /** Tells the outcome, once. */
  #finish(occupant: Occupant, outcome: Outcome): void {
    clearTimeout(occupant.timeout);
    if (occupant.ended) return;
    occupant.ended = true;
    occupant.hooks.finished(outcome);
  }

  #gone(reason: string): void {
    this.#state = 'gone';
    this.#port.close();
    for (const occupant of [...this.#running.values()]) {
      const message = `${occupant.tool} did not finish: ${reason}`;
      this.#leave(occupant, { type: 'error', code: ErrorCode.internal, message });
    }
    this.#events.gone(reason, !this.#lease.signal.aborted);
  }
}

function sharedCells(count: number): Int32Array {
  return new Int32Array(new SharedArrayBuffer(count * Int32Array.BYTES_PER_ELEMENT));
}

function faultOf(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  const exit = /^worker exited with code: (\d+)$/.exec(message);
  return exit === null ? message : `the thread exited with code ${exit[1]}`;
}
