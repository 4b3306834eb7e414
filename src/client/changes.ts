import { isTerminal, type TaskSnapshot } from './snapshot.ts';
import type { StatusFeed } from './status-feed.ts';

/**
 * Calls `fn` with every change of the status from now on; returns what ends it.
 */
export function onChange(feed: StatusFeed, fn: (task: TaskSnapshot) => void): () => void {
  let status = feed.last?.status;
  return feed.listen({
    polls: true,
    seen(task) {
      if (task.status === status) return;
      ({ status } = task);
      tell(fn, task);
    },
  });
}

/**
 * Gives the status as it is, then every change, and ends after the terminal one. It listens from its making
 * until its end, or until `return()` (which leaving a `for await` calls); a change is kept until it is taken.
 */
export class StatusChanges implements AsyncIterableIterator<TaskSnapshot, undefined> {
  readonly #kept: TaskSnapshot[] = [];
  readonly #waiting: {
    resolve: (result: IteratorResult<TaskSnapshot, undefined>) => void;
    reject: (error: unknown) => void;
  }[] = [];
  readonly #unlisten: () => void;
  #status: TaskSnapshot['status'] | undefined;
  #failure: { error: Error } | undefined;
  #isDone = false;

  constructor(feed: StatusFeed, isAcknowledged: boolean) {
    // Once the server has it, what was said last may be old: the first poll tells.
    if (feed.last !== undefined && (feed.isOver || !isAcknowledged)) this.#take(feed.last);
    if (feed.failure !== undefined) this.#end(feed.failure);
    this.#unlisten = feed.listen({
      polls: true,
      seen: (task) => this.#take(task),
      lost: (error) => this.#end({ error }),
    });
  }

  next(): Promise<IteratorResult<TaskSnapshot, undefined>> {
    const value = this.#kept.shift();
    if (value !== undefined) return Promise.resolve({ value, done: false });
    if (this.#failure !== undefined) {
      const { error } = this.#failure;
      this.#failure = undefined;
      return Promise.reject(error);
    }
    if (this.#isDone) return Promise.resolve({ value: undefined, done: true });
    return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }));
  }

  return(): Promise<IteratorResult<TaskSnapshot, undefined>> {
    this.#kept.length = 0;
    this.#failure = undefined;
    this.#end();
    return Promise.resolve({ value: undefined, done: true });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  #take(task: TaskSnapshot): void {
    if (this.#isDone || task.status === this.#status) return;
    this.#status = task.status;
    const waiting = this.#waiting.shift();
    if (waiting === undefined) this.#kept.push(task);
    else waiting.resolve({ value: task, done: false });
    if (isTerminal(task.status)) this.#end();
  }

  #end(failure?: { error: Error }): void {
    if (this.#isDone) return;
    this.#isDone = true;
    this.#failure = failure;
    this.#unlisten?.();
    const waiting = this.#waiting.splice(0);
    for (const { resolve, reject } of waiting) {
      if (this.#failure === undefined) resolve({ value: undefined, done: true });
      else {
        reject(this.#failure.error);
        this.#failure = undefined;
      }
    }
  }
}

/** Calls a listener; what it throws is an uncaught exception, as it is for an EventTarget's. */
export function tell<T>(listener: (value: T) => void, value: T): void {
  try {
    listener(value);
  } catch (error) {
    process.nextTick(() => {
      throw error;
    });
  }
}
