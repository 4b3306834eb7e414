import type { CallToolResult, Progress } from '@modelcontextprotocol/sdk/types.js';
import { onAbort, unlessAborted } from './abort.ts';
import { StatusChanges, onChange } from './changes.ts';
import { TaskCancelledError, TaskError, isPassing } from './errors.ts';
import { ProgressFeed } from './progress-feed.ts';
import { toToolResult, type ToolResult } from './result.ts';
import { isTerminal, localSnapshot, type TaskSnapshot, type TaskStatus } from './snapshot.ts';
import { StatusFeed } from './status-feed.ts';
import type { Call, Mode, Started, Wire } from './wire.ts';

export interface WaitOptions {
  /** What to wait for. Default: any status that is an end. */
  status?: TaskStatus;
  /** Default: no limit. */
  timeoutMs?: number;
  /** Ends the waiting; the task goes on. */
  signal?: AbortSignal;
}

/** A call to make, or a task that there is. */
type Origin = { call: Call; signal: AbortSignal | undefined } | { taskId: string };

/**
 * A tool call that runs as a task at the server: a handle to follow it, to cancel it, and to have its
 * result, by `await`ing the handle or later. Where the server or the tool knows no tasks, the handle stands
 * for a plain call, and {@link mode} says so. A handle that nobody listens to and nobody awaits costs
 * nothing, and its failure is nobody's unhandled rejection.
 *
 * As it is awaitable, an `async` function cannot return a handle: it would return the result. Return it in
 * an object, or return its {@link taskId}.
 */
export class ToolTask<T = unknown> implements PromiseLike<ToolResult<T>>, AsyncIterable<TaskSnapshot> {
  readonly #wire: Wire;
  readonly #feed: StatusFeed;
  readonly #progress: ProgressFeed;
  /** Ends what only the client does: a plain call, or to wait for the result of a task. */
  readonly #stop = new AbortController();
  /** The result, where the server gave it at once; undefined when it has made a task. */
  readonly #answer: Promise<CallToolResult | undefined>;
  readonly #created: Promise<string | undefined>;
  #unlink: (() => void) | undefined;
  /** Hears of the task's end for those who do not poll: the progress, and the caller's signal. */
  #unlisten: (() => void) | undefined;
  #mode: Mode | undefined;
  #taskId: string | undefined;
  #result: Promise<ToolResult<T>> | undefined;

  /** Use {@link TaskClient.startTask} or {@link TaskClient.task}. */
  constructor(wire: Wire, origin: Origin) {
    this.#wire = wire;
    this.#feed = new StatusFeed(wire, (task) => this.#seen(task));
    if ('taskId' in origin) {
      this.#progress = new ProgressFeed(wire.progress, undefined);
      this.#mode = 'task';
      this.#taskId = origin.taskId;
      this.#feed.attach(origin.taskId);
      this.#answer = Promise.resolve(undefined);
      this.#created = Promise.resolve(origin.taskId);
      return;
    }
    const { call, signal } = origin;
    this.#progress = new ProgressFeed(wire.progress, call.progressToken);
    this.#feed.see(localSnapshot('submitted', { ttl: call.ttl ?? null }));
    this.#link(signal);
    let created: (taskId: string | undefined) => void;
    const sent = new Promise<string | undefined>((resolve) => (created = resolve));
    const enter = (mode: Mode) => {
      this.#mode = mode;
      if (mode === 'task') return;
      this.#feed.see(localSnapshot('working', this.#feed.last));
      created(undefined);
    };
    this.#answer = wire.call(call, enter, this.#stop.signal).then(
      (started) => this.#begin(started),
      (error: Error) => this.#fail(error),
    );
    this.#created = Promise.race([sent, this.#answer.then(() => this.#taskId)]);
    this.#created.catch(() => {});
  }

  /** The server's id for the task; undefined until it has acknowledged it, and for a plain call. */
  get taskId(): string | undefined {
    return this.#taskId;
  }

  /**
   * `task`, or `call` where it fell back to a plain call: because the server does not run tools as tasks,
   * or not this one (2025-11-25, tasks, "Tool-Level Negotiation"), or because it answered with the result at
   * once, as on 2026-07-28 it may with any call. Undefined until that is known.
   */
  get mode(): 'task' | 'call' | undefined {
    return this.#mode;
  }

  /**
   * Resolves when the server has acknowledged the task, with its id; for a plain call, with undefined when
   * the call is sent, or, where only the answer tells (2026-07-28), when it is answered.
   * @throws what kept the server from it, as {@link result} does
   */
  created(): Promise<string | undefined> {
    return this.#created;
  }

  /**
   * The tool's result, when the task has ended; asked for once, and kept. What the tool reports as its own
   * failure is a result, too: `isError` is true, and `text` says which.
   *
   * On 2025-11-25 it takes one `tasks/result` request, which the server answers the moment the task ends. If
   * that request gets lost, the task is polled and its result asked for again. On 2026-07-28 the task is
   * followed to its end, which brings the result along.
   * @throws {TaskError} the JSON-RPC error that the task ended with (it timed out, its thread died, …), or
   *   that the server refused the call with
   * @throws {TaskCancelledError} when the task was cancelled
   * @throws {ConnectionClosedError} when the connection closes first
   * @throws {InvalidAnswerError} when the server's answer is malformed, or it asks what there is no handler for
   * @throws the reason of the signal that the task was started with, when it aborts first; and, on 2026-07-28,
   *   what {@link AnswerOptions.onSample} throws, since there is no error to answer a question with
   */
  result(): Promise<ToolResult<T>> {
    if (this.#result !== undefined) return this.#result;
    const result = unlessAborted(this.#fetch(), this.#stop.signal);
    this.#result = result;
    result.then(
      () => this.#release(),
      (error: unknown) => {
        // The network's failure is not the task's: to ask later may help.
        const isRetryable = this.#taskId !== undefined && !this.#stop.signal.aborted && isPassing(error);
        if (isRetryable) this.#result = undefined;
        else this.#release();
      },
    );
    return result;
  }

  /** `await task` is `await task.result()`. */
  // oxlint-disable-next-line unicorn/no-thenable -- to be awaited is what the handle is for
  then<A = ToolResult<T>, B = never>(
    onfulfilled?: ((result: ToolResult<T>) => A | PromiseLike<A>) | null,
    onrejected?: ((reason: unknown) => B | PromiseLike<B>) | null,
  ): Promise<A | B> {
    return this.result().then(onfulfilled, onrejected);
  }

  /**
   * The task as it is now (`tasks/get`). Its `status` is `submitted` until the server has acknowledged it
   * and (as only an mcp-taskpool server says) a thread has picked it up. Of a plain call, and of a task
   * that is known to have ended, no request is made.
   * @throws {TaskError} when the server does not know the task, any more
   * @throws {ConnectionClosedError} when the connection is closed
   */
  async status(): Promise<TaskSnapshot> {
    const { last, failure } = this.#feed;
    if (last !== undefined && (this.#taskId === undefined || isTerminal(last.status))) {
      if (failure !== undefined) throw failure.error;
      return last;
    }
    const task = await this.#wire.getTask(this.#taskId!);
    this.#feed.see(task);
    return this.#feed.last ?? task;
  }

  /**
   * Resolves with the task when it has the wished status, or has ended in whatever way.
   * @throws {TaskWaitTimeoutError} after `timeoutMs` milliseconds; it says the last status
   * @throws {ConnectionClosedError} when the connection closes first
   * @throws the reason of `options.signal`
   */
  wait({ status, timeoutMs, signal }: WaitOptions = {}): Promise<TaskSnapshot> {
    const fits = (task: TaskSnapshot) => isTerminal(task.status) || task.status === status;
    return this.#feed.until(fits, { signal, timeoutMs });
  }

  /**
   * Cancels the task (`tasks/cancel`), before its acknowledgement, too; a plain call is aborted. Resolves
   * with the task; if it had ended before, that is its end, and `status` says so. {@link result} then
   * rejects with a {@link TaskCancelledError}. On 2026-07-28 the server acknowledges no more than that it was
   * asked, so this waits for the end, whichever it is.
   * @throws {TaskError} when the server cannot cancel tasks, or does not know this one
   * @throws {ConnectionClosedError} when the connection is closed
   */
  async cancel(): Promise<TaskSnapshot> {
    // There is no task yet, and what is sent, if anything, may be taken back.
    if (this.#mode !== 'task' && !this.#feed.isOver) this.#stop.abort(new TaskCancelledError());
    await this.#answer.catch(() => {});
    const { last, failure, isOver } = this.#feed;
    if (failure !== undefined) throw failure.error;
    if (last !== undefined && isOver) return last;
    const task = await this.#wire.cancelTask(this.#taskId!, this.#feed);
    this.#feed.see(task);
    return this.#feed.last ?? task;
  }

  /**
   * Calls `fn` with the task at every change of its `status` from now on, up to the terminal one. While
   * anyone listens, the task is polled as often as the server suggests, and less often the longer nothing
   * changes; notifications arrive without delay. Where the server has agreed to notify (2026-07-28,
   * `subscriptions/listen`), it is polled every 30 s, to make sure.
   * @returns what takes the listener off
   */
  onStatusChange(fn: (task: TaskSnapshot) => void): () => void {
    return onChange(this.#feed, fn);
  }

  /**
   * Calls `fn` with each progress notification until the task ends (2025-11-25, progress), or, on 2026-07-28,
   * whose tasks have none, until the call is answered. A handle from {@link TaskClient.task} has none:
   * progress comes to the request that started the task.
   * @returns what takes the listener off
   */
  onProgress(fn: (progress: Progress) => void): () => void {
    const off = this.#progress.listen(fn);
    this.#listen();
    return () => {
      off();
      this.#listen();
    };
  }

  /**
   * The task as it is, then at every change of its `status`; ends after the terminal one.
   * @throws {ConnectionClosedError} when the connection closes first
   */
  [Symbol.asyncIterator](): AsyncIterableIterator<TaskSnapshot, undefined> {
    return new StatusChanges(this.#feed, this.#taskId !== undefined);
  }

  async #fetch(): Promise<ToolResult<T>> {
    const answer = await this.#answer;
    if (answer !== undefined) return toToolResult(answer);
    return toToolResult(await this.#wire.taskResult(this.#taskId!, this.#feed, this.#stop.signal));
  }

  #begin(started: Started): CallToolResult | undefined {
    if ('task' in started) {
      this.#mode = 'task';
      this.#taskId = started.task.taskId;
      this.#feed.see(started.task);
      this.#feed.attach(this.#taskId);
      return undefined;
    }
    const { result } = started;
    this.#mode = 'call';
    const { isError, text } = toToolResult(result);
    this.#feed.see(
      isError ? localSnapshot('failed', this.#feed.last, text) : localSnapshot('completed', this.#feed.last),
    );
    return result;
  }

  /** There will be no task. */
  #fail(error: Error): never {
    const { last } = this.#feed;
    if (this.#stop.signal.aborted) this.#feed.see(localSnapshot('cancelled', last));
    else if (error instanceof TaskError) this.#feed.see(localSnapshot('failed', last, error.message));
    else this.#feed.close(error);
    this.#release();
    throw error;
  }

  /** Whatever brought it: an answer, a notification, or the client itself. */
  #seen({ status, statusMessage }: TaskSnapshot): void {
    if (isTerminal(status)) this.#release();
    if (status === 'cancelled') this.#stop.abort(new TaskCancelledError(this.#taskId, statusMessage));
    // Who sees that a task wants input serves it, until its end. On 2025-11-25 the server asks on the stream
    // of the result (tasks, "Input Required Status" 3).
    if (status === 'input_required') this.result().catch(() => {});
  }

  /** Aborting stops the task, and the waiting for its result. */
  #link(signal: AbortSignal | undefined): void {
    if (signal === undefined) return;
    const abort = () => {
      this.#stop.abort(signal.reason);
      if (this.#mode === 'task') this.cancel().catch(() => {});
    };
    if (signal.aborted) return abort();
    this.#unlink = onAbort(signal, abort);
    this.#listen();
  }

  /** Hears of the task's end if, and only if, something is to be let go then. */
  #listen(): void {
    const isWanted = this.#progress.isHeard || this.#unlink !== undefined;
    if (isWanted) {
      this.#unlisten ??= this.#feed.listen({ polls: false, seen: () => {}, lost: () => this.#release() });
    } else {
      this.#unlisten?.();
      this.#unlisten = undefined;
    }
  }

  /** It has ended: nothing of it stays behind. */
  #release(): void {
    this.#progress.close();
    this.#unlink?.();
    this.#unlink = undefined;
    this.#listen();
  }
}
