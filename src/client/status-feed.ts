import { onAbort, MAX_DELAY_MS } from './abort.ts';
import { TaskWaitTimeoutError, isPassing } from './errors.ts';
import { differs, isStale, isTerminal, type TaskSnapshot } from './snapshot.ts';
import type { Push, Wire } from './wire.ts';

export interface StatusListener {
  /** Each time anything was said of the task, be it news or not. */
  seen(task: TaskSnapshot): void;
  /** Nothing more will come for it; the feed was lost before the task's end. */
  lost?(error: Error): void;
  /** Whether the task is polled for this listener, or it takes what comes by itself. */
  polls: boolean;
}

/** Where the server suggests nothing, or no pause at all. */
const POLL_INTERVAL_MS = 1000;
const MAX_PAUSE_MS = 30_000;
const BACKOFF = 1.5;
/** The share of a pause that chance adds, so that many tasks are not polled in step. */
const JITTER = 0.25;
/** Between polls that only make sure, because the server says by itself what changes. */
const SURE_MS = 30_000;
/** Polls lost in a row before it is given up. */
const MAX_LOST = 8;

/**
 * Follows one task, while somebody listens: by status notifications, and by polls for as long as one of
 * the listeners wants them; seldom ones, where the server has promised the notifications.
 *
 *   idle -> following (someone listens, the id is known) -> idle (nobody does)
 *                                                        -> over (terminal, or closed), for good
 */
export class StatusFeed {
  readonly #wire: Wire;
  readonly #onSeen: (task: TaskSnapshot) => void;
  readonly #listeners = new Set<StatusListener>();
  #taskId: string | undefined;
  #last: TaskSnapshot | undefined;
  #failure: { error: Error } | undefined;
  #unfollow: (() => void) | undefined;
  /** Whether the server says by itself what changes. */
  #push: Push = 'no';
  /** Polling, while it is defined; another object each time it starts. */
  #polling: { timer: NodeJS.Timeout | undefined; quiet: number; lost: number } | undefined;

  /** @param onSeen learns first what was said of the task, whether somebody listens or not */
  constructor(wire: Wire, onSeen: (task: TaskSnapshot) => void) {
    this.#wire = wire;
    this.#onSeen = onSeen;
  }

  /** What was said last. */
  get last(): TaskSnapshot | undefined {
    return this.#last;
  }

  /** Why the feed is over although the task is not. */
  get failure(): { error: Error } | undefined {
    return this.#failure;
  }

  get isOver(): boolean {
    return this.#failure !== undefined || (this.#last !== undefined && isTerminal(this.#last.status));
  }

  /** The task's id is known: following can begin. */
  attach(taskId: string): void {
    this.#taskId = taskId;
    this.#adjust();
  }

  /** Takes what anyone learned of the task. */
  see(task: TaskSnapshot): void {
    if (this.#failure !== undefined || isStale(task, this.#last)) return;
    const news = differs(this.#last, task);
    this.#last = task;
    this.#onSeen(task);
    for (const listener of [...this.#listeners]) listener.seen(task);
    if (isTerminal(task.status)) this.#listeners.clear();
    this.#adjust();
    if (this.#polling === undefined) return;
    this.#polling.quiet = news ? 0 : this.#polling.quiet + 1;
    this.#schedule();
  }

  /** Ends the feed although the task may go on. */
  close(error: Error): void {
    if (this.isOver) return;
    this.#failure = { error };
    this.#lose(error, [...this.#listeners]);
  }

  /** Polls without delay, if it polls at all: there is reason to think that something has changed. */
  poke(): void {
    if (this.#polling !== undefined) this.#poll();
  }

  /** Returns what takes the listener off; the task's end does it, too. */
  listen(listener: StatusListener): () => void {
    if (this.isOver) return () => {};
    this.#listeners.add(listener);
    this.#adjust();
    return () => {
      if (this.#listeners.delete(listener)) this.#adjust();
    };
  }

  /**
   * Resolves with the first snapshot that fits.
   * @throws {TaskWaitTimeoutError} after `timeoutMs`
   * @throws the signal's reason, and why the feed is lost
   */
  until(
    fits: (task: TaskSnapshot) => boolean,
    { signal, timeoutMs }: { signal?: AbortSignal | undefined; timeoutMs?: number | undefined } = {},
  ): Promise<TaskSnapshot> {
    return new Promise((resolve, reject) => {
      signal?.throwIfAborted();
      // Of what the server does not know yet, and of the end, nobody knows more.
      const isSure = this.#last !== undefined && (this.isOver || this.#taskId === undefined);
      if (isSure && fits(this.#last!)) return resolve(this.#last!);
      if (this.#failure !== undefined) return reject(this.#failure.error);
      const settle = (how: () => void) => {
        for (const off of unlink) off();
        how();
      };
      const unlink = [
        this.listen({
          polls: true,
          seen: (task) => fits(task) && settle(() => resolve(task)),
          lost: (error) => settle(() => reject(error)),
        }),
        onAbort(signal, () => settle(() => reject(signal?.reason as Error))),
      ];
      if (timeoutMs === undefined) return;
      const late = () => reject(new TaskWaitTimeoutError(this.#taskId, timeoutMs, this.#last?.status));
      const timer = setTimeout(() => settle(late), Math.min(timeoutMs, MAX_DELAY_MS));
      unlink.push(() => clearTimeout(timer));
    });
  }

  /** Follows and polls if, and only if, that is wanted. */
  #adjust(): void {
    const taskId = this.#taskId;
    const follows = taskId !== undefined && this.#listeners.size > 0;
    if (follows && this.#unfollow === undefined) {
      const ends = [
        this.#wire.watch(taskId, {
          seen: (task) => this.see(task),
          pushed: (push) => this.#pushed(push),
        }),
        this.#wire.ending.on((error) => this.close(error)),
      ];
      this.#unfollow = () => ends.forEach((end) => end());
    } else if (!follows && this.#unfollow !== undefined) {
      this.#unfollow();
      this.#unfollow = undefined;
      this.#push = 'no';
    }
    const polls = follows && [...this.#listeners].some(wantsPolls);
    if (polls && this.#polling === undefined) {
      this.#polling = { timer: undefined, quiet: 0, lost: 0 };
      // At once: what was notified while nobody listened is lost. Where the server is yet to say whether it
      // notifies, that is what to wait for.
      if (this.#push === 'pending') this.#schedule();
      else this.#poll();
    } else if (!polls && this.#polling !== undefined) {
      clearTimeout(this.#polling.timer);
      this.#polling = undefined;
    }
  }

  #pushed(push: Push): void {
    this.#push = push;
    if (this.#polling === undefined) return;
    this.#polling.quiet = 0;
    if (push === 'pending') this.#schedule();
    else this.#poll();
  }

  #poll(): void {
    const polling = this.#polling!;
    clearTimeout(polling.timer);
    this.#wire.getTask(this.#taskId!).then(
      (task) => {
        polling.lost = 0;
        this.see(task);
        // It was stale: a notification came first.
        if (this.#polling === polling) this.#schedule();
      },
      (error: Error) => {
        if (this.#polling !== polling) return;
        const listeners = [...this.#listeners];
        if (!isPassing(error)) return this.#lose(error, listeners);
        // Notifications may still come.
        if (++polling.lost >= MAX_LOST) return this.#lose(error, listeners.filter(wantsPolls));
        polling.quiet++;
        this.#schedule();
      },
    );
  }

  /** The next poll: never before the server's interval, and the later the longer nothing changes. */
  #schedule(): void {
    const polling = this.#polling!;
    const wished = this.#last?.pollInterval ?? 0;
    const interval = wished > 0 ? wished : POLL_INTERVAL_MS;
    const backedOff = this.#push === 'yes' ? SURE_MS : interval * BACKOFF ** polling.quiet;
    const pause = Math.max(interval, Math.min(backedOff, MAX_PAUSE_MS));
    const ms = pause * (1 + JITTER * Math.random());
    clearTimeout(polling.timer);
    polling.timer = setTimeout(() => this.#poll(), Math.min(ms, MAX_DELAY_MS));
  }

  #lose(error: Error, listeners: readonly StatusListener[]): void {
    for (const listener of listeners) this.#listeners.delete(listener);
    this.#adjust();
    for (const listener of listeners) listener.lost?.(error);
  }
}

function wantsPolls({ polls }: StatusListener): boolean {
  return polls;
}
