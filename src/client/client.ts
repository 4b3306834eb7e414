import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { mergeCapabilities } from '@modelcontextprotocol/sdk/shared/protocol.js';
import {
  EmptyResultSchema,
  ErrorCode,
  McpError,
  ToolListChangedNotificationSchema,
  type ClientCapabilities,
  type Progress,
  type Tool,
} from '@modelcontextprotocol/sdk/types.js';
import { VERSION } from '../version.ts';
import { MAX_DELAY_MS, onAbort } from './abort.ts';
import { answerCapabilities, installAnswers, type AnswerOptions } from './answers.ts';
import { Connection } from './connection.ts';
import { ConnectionClosedError, RequestTimeoutError, fromMcpError, unsupported } from './errors.ts';
import { QUICK_MS, listTasks } from './requests.ts';
import type { ToolResult } from './result.ts';
import type { TaskSnapshot } from './snapshot.ts';
import { routeTo, type Route, type Target } from './target.ts';
import { ToolList, type Mode } from './tool-list.ts';
import { ToolTask } from './tool-task.ts';

export type { AnswerOptions, QuestionContext } from './answers.ts';
export {
  ConnectionClosedError,
  InvalidAnswerError,
  RequestTimeoutError,
  TaskCancelledError,
  TaskError,
  TaskWaitTimeoutError,
} from './errors.ts';
export type { ToolResult } from './result.ts';
export type { TaskSnapshot, TaskStatus } from './snapshot.ts';
export type { HttpTarget, StdioTarget, Target } from './target.ts';
export type { ToolTask, WaitOptions } from './tool-task.ts';
export { TASK_META, type TaskMeta } from '../wire/meta.ts';

export interface ConnectOptions extends AnswerOptions {
  /** What the server is told this client is. Default: this package's name and version. */
  name?: string;
  version?: string;
  /** Declared beside those that `onElicit` and `onSample` bring. */
  capabilities?: ClientCapabilities;
  /** How long the server may take to start and to answer `initialize`. Default 60,000. */
  connectTimeoutMs?: number;
  /** Ends the connecting. */
  signal?: AbortSignal;
  /**
   * How long a `tasks/result` request is left open before it is made anew. Default: 60,000 over HTTP, where
   * a stream that a proxy has cut ends no request; no limit otherwise.
   */
  resultTimeoutMs?: number;
  /** Learns of errors that concern no request, such as a lost stream of notifications. Default: nobody does. */
  onError?: (error: Error) => void;
}

export interface CallOptions {
  /** Stops the tool, and rejects with the signal's reason. */
  signal?: AbortSignal;
  /** Called with each progress notification. */
  onProgress?: (progress: Progress) => void;
  /**
   * Makes a call that is repeated with the same key and arguments the same task, so that it runs once; by
   * mcp-taskpool servers only.
   */
  idempotencyKey?: string;
}

export interface CallToolOptions extends CallOptions {
  /** How long the result may take. Default: no limit. */
  timeoutMs?: number;
}

export interface StartTaskOptions extends CallOptions {
  /** How long the server is asked to keep the task from its creation, in milliseconds; it may decide otherwise. */
  ttl?: number;
}

/** Over HTTP, by default. */
const RESULT_TIMEOUT_MS = 60_000;

/**
 * A connection to an MCP server, for its tools: calls them, starts them as tasks, and follows these.
 *
 * ```ts
 * await using client = await TaskClient.connect({ command: 'mcp-taskpool', args: ['serve'] });
 * const task = client.startTask<{ count: number }>('count_primes', { limit: 1e8 });
 * task.onStatusChange(({ status }) => console.log(status));
 * const { data } = await task;
 * ```
 */
export class TaskClient {
  /** The SDK's client, for what is not about tools: prompts, resources, log messages. */
  readonly sdk: Client;
  readonly #connection: Connection;
  readonly #route: Route;
  readonly #tools: ToolList;
  #closing: Promise<void> | undefined;

  private constructor(sdk: Client, connection: Connection, route: Route) {
    this.sdk = sdk;
    this.#connection = connection;
    this.#route = route;
    this.#tools = new ToolList(connection);
    sdk.setNotificationHandler(ToolListChangedNotificationSchema, () => this.#tools.drop());
  }

  /**
   * Starts a server (`command`), or reaches one over Streamable HTTP (`url`) or an SDK transport, and
   * initializes the connection. If that fails, a child that was started is ended first.
   * @throws {RequestTimeoutError} when the server does not answer within `connectTimeoutMs`
   * @throws {ConnectionClosedError} when the server ends, or closes the connection, instead
   * @throws {TaskError} when the server refuses
   * @throws the reason of `options.signal`, and what the transport throws, such as that there is no such command
   */
  static async connect(target: Target, options: ConnectOptions = {}): Promise<TaskClient> {
    const { name = 'mcp-taskpool', version = VERSION, connectTimeoutMs = 60_000, signal } = options;
    signal?.throwIfAborted();
    const route = routeTo(target);
    const capabilities = mergeCapabilities(answerCapabilities(options), options.capabilities ?? {});
    const sdk = new Client({ name, version }, { capabilities });
    installAnswers(sdk, options);
    const resultTimeoutMs = options.resultTimeoutMs ?? (route.lossy ? RESULT_TIMEOUT_MS : undefined);
    const connection = new Connection(sdk, resultTimeoutMs, options.onError ?? (() => {}));
    const client = new TaskClient(sdk, connection, route);
    const timeout = Math.min(connectTimeoutMs, MAX_DELAY_MS);
    const unlink = onAbort(signal, () => void client.close().catch(() => {}));
    try {
      await sdk.connect(route.transport, { timeout });
      return client;
    } catch (error) {
      await client.close().catch(() => {});
      throw signal?.aborted ? signal.reason : explain(error, connectTimeoutMs);
    } finally {
      unlink();
    }
  }

  /**
   * The tools that the server offers, of all pages. Asked for once, and again when the server says that
   * they have changed.
   * @throws {TaskError} when the server refuses
   * @throws {ConnectionClosedError} when the connection is closed
   */
  listTools(): Promise<Tool[]> {
    return this.#tools.all();
  }

  /**
   * The tasks that the server keeps for this client, of all pages.
   * @throws {TaskError} when the server does not list tasks
   * @throws {ConnectionClosedError} when the connection is closed
   */
  async listTasks(): Promise<TaskSnapshot[]> {
    if (!this.#connection.tasks.list) throw unsupported('tasks/list');
    return listTasks(this.#connection);
  }

  /**
   * Resolves when the server has answered.
   * @throws {RequestTimeoutError} when that takes longer than 60 s
   * @throws {ConnectionClosedError} when the connection is closed
   */
  async ping(): Promise<void> {
    await this.#connection.request('ping', {}, EmptyResultSchema, { timeoutMs: QUICK_MS });
  }

  /**
   * Calls a tool, and waits for its result. A tool that can only be called as a task is, without the caller
   * noticing. What the tool reports as its own failure is a result whose `isError` is true.
   * @throws {TaskError} the server's JSON-RPC error: no such tool, it timed out, its thread died, …
   * @throws {RequestTimeoutError} after `timeoutMs` milliseconds; the tool is stopped
   * @throws {ConnectionClosedError} when the connection closes first
   * @throws the reason of `options.signal`; the tool is stopped (2025-11-25, cancellation)
   */
  async callTool<T = unknown>(
    name: string,
    args?: Record<string, unknown>,
    { timeoutMs, ...options }: CallToolOptions = {},
  ): Promise<ToolResult<T>> {
    if (timeoutMs === undefined) return this.#start<T>('call', name, args, options).result();
    const stop = new AbortController();
    const late = () => stop.abort(new RequestTimeoutError('tools/call', timeoutMs));
    const timer = setTimeout(late, Math.min(timeoutMs, MAX_DELAY_MS));
    const unlink = onAbort(options.signal, () => stop.abort(options.signal?.reason));
    if (options.signal?.aborted) stop.abort(options.signal.reason);
    try {
      return await this.#start<T>('call', name, args, { ...options, signal: stop.signal }).result();
    } finally {
      clearTimeout(timer);
      unlink();
    }
  }

  /**
   * Calls a tool as a task, and returns a handle to it at once. Aborting `options.signal` cancels the task.
   * Where the server or the tool knows no tasks, it is a plain call, and the handle's `mode` says so.
   * Failures are the handle's: nothing is thrown here.
   */
  startTask<T = unknown>(
    name: string,
    args?: Record<string, unknown>,
    options: StartTaskOptions = {},
  ): ToolTask<T> {
    return this.#start<T>('task', name, args, options);
  }

  /** A handle to a task that exists already, started by whomever; the server is asked when the handle is. */
  task<T = unknown>(taskId: string): ToolTask<T> {
    return new ToolTask<T>(this.#connection, { taskId });
  }

  /**
   * Rejects all that is pending with a {@link ConnectionClosedError}, closes the connection, and waits for
   * the end of a child that was started. Plain calls are cancelled; tasks go on, if the server does.
   */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    this.#connection.end();
    await this.#route.leave();
    await this.sdk.close();
    await this.#route.gone();
  }

  #start<T>(
    wish: Mode,
    name: string,
    args: Record<string, unknown> | undefined,
    { ttl, signal, onProgress, idempotencyKey }: StartTaskOptions,
  ): ToolTask<T> {
    // Of a task, progress may be asked for later; a call that nobody watches need not report any.
    const hasProgress = wish === 'task' || onProgress !== undefined;
    const progressToken = hasProgress ? this.#connection.newProgressToken() : undefined;
    const call = { wish, name, args, ttl, progressToken, idempotencyKey };
    const task = new ToolTask<T>(this.#connection, { call, tools: this.#tools, signal });
    if (onProgress !== undefined) task.onProgress(onProgress);
    return task;
  }
}

/** Why there is no connection, in our words. */
function explain(error: unknown, timeoutMs: number): unknown {
  if (!(error instanceof McpError)) return error;
  if (error.code === (ErrorCode.ConnectionClosed as number)) {
    return new ConnectionClosedError('The server closed the connection before it answered initialize');
  }
  if (error.code === (ErrorCode.RequestTimeout as number))
    return new RequestTimeoutError('initialize', timeoutMs);
  return fromMcpError(error);
}
