import type { Client } from '@modelcontextprotocol/sdk/client/index.js';
import {
  McpError,
  ProgressNotificationSchema,
  ResultSchema,
  TaskStatusNotificationSchema,
  type ClientRequest,
  type Progress,
  type Result,
} from '@modelcontextprotocol/sdk/types.js';
import { MAX_DELAY_MS, onAbort, unlessAborted } from './abort.ts';
import { ConnectionClosedError, InvalidAnswerError, RequestTimeoutError, fromMcpError } from './errors.ts';
import { toSnapshot, type TaskSnapshot } from './snapshot.ts';

/** What an answer must look like; the SDK's schemas are such. */
export interface Schema<T> {
  safeParse(value: unknown): { success: true; data: T } | { success: false; error: Error };
}

export interface RequestOptions {
  /** Sends `notifications/cancelled`, and rejects with the signal's reason. */
  signal?: AbortSignal | undefined;
  /** Default: no limit. */
  timeoutMs?: number | undefined;
  /** Gives up when the transport loses a stream, because the answer may have been on it. */
  losable?: boolean;
  /** Sends no `notifications/cancelled`, whatever ends the wait for the answer. */
  silent?: boolean;
}

/** The stream that a request was to be answered on is gone; to ask again may help. */
class StreamLostError extends Error {
  override readonly name = 'StreamLostError';
}

/**
 * One connection, on top of the SDK's client: requests that free everything when they are answered, and
 * notifications brought to whom they concern. It knows a task only while somebody watches it.
 *
 * The SDK's own `onprogress` and `signal` are not used with what lives long: the one keeps an entry for
 * every task, the other a listener on the signal for every request, both for ever.
 */
export class Connection {
  /** How long a `tasks/result` request may stay open; undefined: as long as the task takes. */
  readonly resultTimeoutMs: number | undefined;
  readonly #sdk: Client;
  readonly #watchers = new Map<string, Set<(task: TaskSnapshot) => void>>();
  readonly #progress = new Map<string, (progress: Progress) => void>();
  readonly #onClosed = new Set<(error: ConnectionClosedError) => void>();
  readonly #onStreamLost = new Set<() => void>();
  #closed: ConnectionClosedError | undefined;
  #lastToken = 0;

  constructor(sdk: Client, resultTimeoutMs: number | undefined, onError: (error: Error) => void) {
    this.#sdk = sdk;
    this.resultTimeoutMs = resultTimeoutMs;
    sdk.onclose = () => this.#end(new ConnectionClosedError('The server has closed the connection'));
    sdk.onerror = (error) => this.#failed(error, onError);
    sdk.setNotificationHandler(TaskStatusNotificationSchema, ({ params }) => {
      const watchers = this.#watchers.get(params.taskId);
      if (watchers === undefined) return;
      const task = toSnapshot(params);
      for (const watcher of [...watchers]) watcher(task);
    });
    sdk.setNotificationHandler(ProgressNotificationSchema, ({ params }) => {
      const { progressToken, progress, total, message } = params;
      this.#progress.get(String(progressToken))?.({
        progress,
        ...(total !== undefined && { total }),
        ...(message !== undefined && { message }),
      });
    });
  }

  /** What the server declared of tasks (tasks, "Server Capabilities"). */
  get tasks(): { list: boolean; cancel: boolean; call: boolean } {
    const tasks = this.#sdk.getServerCapabilities()?.tasks;
    return {
      list: tasks?.list !== undefined,
      cancel: tasks?.cancel !== undefined,
      call: tasks?.requests?.tools?.call !== undefined,
    };
  }

  /**
   * @throws {TaskError} the server's JSON-RPC error
   * @throws {ConnectionClosedError} when the connection is closed, or closes before the answer
   * @throws {RequestTimeoutError} when the answer takes longer than `timeoutMs`
   * @throws {InvalidAnswerError} when the answer does not fit the schema
   * @throws the signal's reason, and what the transport throws
   */
  async request<T>(
    method: string,
    params: Record<string, unknown>,
    schema: Schema<T>,
    options: RequestOptions = {},
  ): Promise<T> {
    const answer = await this.#ask({ method, params } as ClientRequest, options);
    const parsed = schema.safeParse(answer);
    if (parsed.success) return parsed.data;
    throw new InvalidAnswerError(`${method}: the server's answer is malformed: ${parsed.error.message}`);
  }

  /**
   * Brings what the server says of a task by itself. It may say nothing (tasks, "Task Notifications" 2).
   * Returns what ends it.
   */
  watch(taskId: string, watcher: (task: TaskSnapshot) => void): () => void {
    const watchers = this.#watchers.get(taskId) ?? new Set();
    this.#watchers.set(taskId, watchers.add(watcher));
    return () => {
      watchers.delete(watcher);
      if (watchers.size === 0 && this.#watchers.get(taskId) === watchers) this.#watchers.delete(taskId);
    };
  }

  /** A progress token that no other request of this connection has. */
  newProgressToken(): string {
    return `mcp-taskpool-${++this.#lastToken}`;
  }

  /** Brings the progress that comes with this token; returns what ends it. */
  watchProgress(token: string, watcher: (progress: Progress) => void): () => void {
    this.#progress.set(token, watcher);
    return () => void this.#progress.delete(token);
  }

  /** Calls once when the connection is closed; returns what takes the call off. */
  onClosed(fn: (error: ConnectionClosedError) => void): () => void {
    this.#onClosed.add(fn);
    return () => void this.#onClosed.delete(fn);
  }

  /**
   * The SDK notes every task that is created, to keep the handler of its `onprogress`, and forgets only
   * those that it polls itself. We have no such handler. The method that forgets is private: should it go
   * away, the note costs some 100 bytes a task and nothing else.
   */
  forget(taskId: string): void {
    const sdk = this.#sdk as unknown as { _cleanupTaskProgressHandler?: (taskId: string) => void };
    sdk._cleanupTaskProgressHandler?.(taskId);
  }

  /** Rejects all that is pending, before the client closes the transport. */
  end(): void {
    this.#end(new ConnectionClosedError('The client is closed'));
  }

  async #ask(request: ClientRequest, options: RequestOptions): Promise<Result> {
    const { signal, timeoutMs, losable = false, silent = false } = options;
    signal?.throwIfAborted();
    if (this.#closed !== undefined) throw this.#closed;
    // Lives as long as the request: the SDK never takes its listener off.
    const stop = new AbortController();
    const end = (error: unknown) => stop.abort(error);
    const unlink = [onAbort(signal, () => end(signal?.reason)), this.onClosed(end)];
    if (losable) {
      const lost = () => end(new StreamLostError(`${request.method}: the stream was lost`));
      this.#onStreamLost.add(lost);
      unlink.push(() => void this.#onStreamLost.delete(lost));
    }
    if (timeoutMs !== undefined) {
      const timeout = () => end(new RequestTimeoutError(request.method, timeoutMs));
      const timer = setTimeout(timeout, Math.min(timeoutMs, MAX_DELAY_MS));
      unlink.push(() => clearTimeout(timer));
    }
    try {
      // The SDK would give up after 60 s.
      const limits = { timeout: MAX_DELAY_MS, ...(!silent && { signal: stop.signal }) };
      return await unlessAborted(this.#sdk.request(request, ResultSchema, limits), stop.signal);
    } catch (error) {
      if (stop.signal.aborted) throw stop.signal.reason;
      if (error instanceof McpError) throw this.#closed ?? fromMcpError(error, taskIdOf(request));
      // It could not be sent, perhaps: the SDK waits for an answer until it is told not to.
      end(error);
      throw error;
    } finally {
      for (const off of unlink) off();
    }
  }

  #end(error: ConnectionClosedError): void {
    if (this.#closed !== undefined) return;
    this.#closed = error;
    for (const fn of [...this.#onClosed]) fn(error);
    this.#watchers.clear();
    this.#progress.clear();
  }

  #failed(error: Error, onError: (error: Error) => void): void {
    // What comes after a cancellation is to be ignored (2025-11-25, cancellation, "Behavior Requirements" 5).
    if (error.message.startsWith('Received a response for an unknown message ID')) return;
    if (error.message.startsWith('SSE stream disconnected'))
      for (const lost of [...this.#onStreamLost]) lost();
    if (this.#closed === undefined) onError(error);
  }
}

function taskIdOf({ params }: ClientRequest): string | undefined {
  const taskId = (params as { taskId?: unknown } | undefined)?.taskId;
  return typeof taskId === 'string' ? taskId : undefined;
}
