import type { Client } from '@modelcontextprotocol/sdk/client/index.js';
import {
  McpError,
  ProgressNotificationSchema,
  ResultSchema,
  TaskStatusNotificationSchema,
  type ClientRequest,
  type Result,
} from '@modelcontextprotocol/sdk/types.js';
import { MAX_DELAY_MS, unlessAborted } from '../abort.ts';
import { Ending } from '../ending.ts';
import { ConnectionClosedError, fromMcpError } from '../errors.ts';
import { withinLimits, type Limits } from '../limits.ts';
import { ProgressTokens } from '../progress-tokens.ts';
import { parseAnswer, type Schema } from '../schema.ts';
import { toSnapshot, type TaskSnapshot } from '../snapshot.ts';

export interface RequestOptions extends Limits {
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
  readonly progress = new ProgressTokens();
  readonly ending = new Ending();
  readonly #sdk: Client;
  readonly #watchers = new Map<string, Set<(task: TaskSnapshot) => void>>();
  readonly #onStreamLost = new Set<() => void>();

  constructor(sdk: Client, resultTimeoutMs: number | undefined, onError: (error: Error) => void) {
    this.#sdk = sdk;
    this.resultTimeoutMs = resultTimeoutMs;
    sdk.onclose = () => this.ending.end(new ConnectionClosedError('The server has closed the connection'));
    sdk.onerror = (error) => this.#failed(error, onError);
    sdk.setNotificationHandler(TaskStatusNotificationSchema, ({ params }) => {
      const watchers = this.#watchers.get(params.taskId);
      if (watchers === undefined) return;
      const task = toSnapshot(params);
      for (const watcher of [...watchers]) watcher(task);
    });
    sdk.setNotificationHandler(ProgressNotificationSchema, ({ params }) => this.progress.bring(params));
    this.ending.on(() => {
      this.#watchers.clear();
      this.progress.clear();
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
   * @throws {InvalidAnswerError} when the answer does not fit the schema
   * @throws what {@link withinLimits} throws, and what the transport does
   */
  async request<T>(
    method: string,
    params: Record<string, unknown>,
    schema: Schema<T>,
    options: RequestOptions = {},
  ): Promise<T> {
    return parseAnswer(method, schema, await this.#ask({ method, params } as ClientRequest, options));
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
    this.ending.end(new ConnectionClosedError('The client is closed'));
  }

  #ask(request: ClientRequest, options: RequestOptions): Promise<Result> {
    const { losable = false, silent = false } = options;
    return withinLimits(request.method, options, this.ending, async (stop) => {
      const lost = () => stop.abort(new StreamLostError(`${request.method}: the stream was lost`));
      if (losable) this.#onStreamLost.add(lost);
      // The stop's signal lives as long as the request: the SDK never takes its listener off. The SDK would
      // give up after 60 s.
      const limits = { timeout: MAX_DELAY_MS, ...(!silent && { signal: stop.signal }) };
      try {
        return await unlessAborted(this.#sdk.request(request, ResultSchema, limits), stop.signal);
      } catch (error) {
        if (stop.signal.aborted) throw error;
        if (error instanceof McpError) throw this.ending.error ?? fromMcpError(error, taskIdOf(request));
        // It could not be sent, perhaps: the SDK waits for an answer until it is told not to.
        stop.abort(error);
        throw error;
      } finally {
        this.#onStreamLost.delete(lost);
      }
    });
  }

  #failed(error: Error, onError: (error: Error) => void): void {
    // What comes after a cancellation is to be ignored (2025-11-25, cancellation, "Behavior Requirements" 5).
    if (error.message.startsWith('Received a response for an unknown message ID')) return;
    if (error.message.startsWith('SSE stream disconnected'))
      for (const lost of [...this.#onStreamLost]) lost();
    if (this.ending.error === undefined) onError(error);
  }
}

function taskIdOf({ params }: ClientRequest): string | undefined {
  const taskId = (params as { taskId?: unknown } | undefined)?.taskId;
  return typeof taskId === 'string' ? taskId : undefined;
}
