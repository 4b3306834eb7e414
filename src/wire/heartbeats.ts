import type { TaskView } from '../tasks/observer.ts';
import type { Progress } from '../tasks/task.ts';
import { statusMessage } from './status.ts';

/** Clients that give a request up unless they hear of it mostly wait for 60 s, and some for 30 s. */
const SILENCE_MS = 10_000;
/** What a value is raised by, as a share of it (of 1, where it is less): too little for anybody to see. */
const STEP = 1e-9;

/**
 * Keeps the requests alive that have a progress token: where nothing was reported of one for 10 s, its last value
 * is reported again, raised by a billionth, for the value must increase with each notification (progress, "Progress
 * Flow"). One timer for all of them, while there are any.
 */
export class Heartbeats {
  /** When each was last heard of; the longest ago first. */
  readonly #heard = new Map<RequestProgress, number>();
  #timer: NodeJS.Timeout | undefined;

  /**
   * Has a request kept alive until it is closed.
   * @param send sends a progress notification of it
   */
  open(send: (progress: Progress) => void): RequestProgress {
    const request = new RequestProgress(
      (progress) => {
        // It has been closed: nothing may follow what it was answered with (progress, "Behavior Requirements").
        if (!this.#heard.has(request)) return;
        this.#isHeard(request);
        send(progress);
      },
      () => this.#close(request),
    );
    this.#isHeard(request);
    if (this.#timer === undefined) this.#wait();
    return request;
  }

  #isHeard(request: RequestProgress): void {
    this.#heard.delete(request);
    this.#heard.set(request, performance.now());
  }

  #wait(): void {
    const [next] = this.#heard.values();
    const due = next === undefined ? undefined : next + SILENCE_MS - performance.now();
    this.#timer = due === undefined ? undefined : setTimeout(() => this.#beat(), Math.max(due, 1));
  }

  #beat(): void {
    const due = performance.now() - SILENCE_MS;
    const silent = [...this.#heard].filter(([, heard]) => heard <= due);
    for (const [request] of silent) {
      this.#isHeard(request);
      request.beat();
    }
    this.#wait();
  }

  #close(request: RequestProgress): void {
    this.#heard.delete(request);
    if (this.#heard.size > 0) return;
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }
}

/** The progress of a request: what its run reports, and what is said when that says nothing. */
export class RequestProgress {
  readonly #send: (progress: Progress) => void;
  readonly #closed: () => void;
  #view: (() => TaskView) | undefined;
  #last: Progress | undefined;

  /** Use {@link Heartbeats.open}. */
  constructor(send: (progress: Progress) => void, closed: () => void) {
    this.#send = send;
    this.#closed = closed;
  }

  /** @param view how the task stands, which a heartbeat says in words */
  attached(view: () => TaskView): void {
    this.#view = view;
  }

  report(progress: Progress): void {
    const last = this.#last;
    // A run that reports for the first time may begin below what a heartbeat has said.
    this.#tell(last === undefined || progress.done > last.done ? progress : above(last.done, progress));
  }

  beat(): void {
    const message = (this.#view && statusMessage(this.#view())) ?? 'running';
    const last = this.#last;
    this.#tell(last === undefined ? { done: 0, message } : above(last.done, { ...last, message }));
  }

  close(): void {
    this.#closed();
  }

  #tell(progress: Progress): void {
    // There is nothing above the largest number.
    if (!Number.isFinite(progress.done)) return;
    this.#last = progress;
    this.#send(progress);
  }
}

function above(value: number, { total, message }: Progress): Progress {
  const done = value + Math.max(Math.abs(value), 1) * STEP;
  return {
    done,
    ...(total !== undefined && { total: Math.max(total, done) }),
    ...(message !== undefined && { message }),
  };
}
