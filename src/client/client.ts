import type { Client } from '@modelcontextprotocol/sdk/client/index.js';
import type { Tool } from '@modelcontextprotocol/sdk/types.js';
import { MAX_DELAY_MS, onAbort } from './abort.ts';
import { openWire } from './connect.ts';
import { RequestTimeoutError } from './errors.ts';
import type { CallToolOptions, ConnectOptions, StartTaskOptions } from './options.ts';
import type { ToolResult } from './result.ts';
import type { TaskSnapshot } from './snapshot.ts';
import type { Target } from './target.ts';
import { ToolTask } from './tool-task.ts';
import type { Mode, ProtocolRevision, Wire } from './wire.ts';

export type { AnswerOptions, QuestionContext } from './answers.ts';
export {
  ConnectionClosedError,
  InvalidAnswerError,
  RequestTimeoutError,
  TaskCancelledError,
  TaskError,
  TaskWaitTimeoutError,
} from './errors.ts';
export type { CallOptions, CallToolOptions, ConnectOptions, StartTaskOptions } from './options.ts';
export type { ToolResult } from './result.ts';
export type { TaskSnapshot, TaskStatus } from './snapshot.ts';
export type { HttpTarget, StdioTarget, Target } from './target.ts';
export type { ToolTask, WaitOptions } from './tool-task.ts';
export type { ProtocolRevision } from './wire.ts';
export { TASK_META, type TaskMeta } from '../wire/meta.ts';

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
  readonly #wire: Wire;
  #closing: Promise<void> | undefined;

  private constructor(wire: Wire) {
    this.#wire = wire;
  }

  /**
   * Starts a server (`command`), or reaches one over Streamable HTTP (`url`) or an SDK transport, and
   * agrees with it on the revision of the protocol: on 2025-11-25 by `initialize`, on 2026-07-28 by
   * `server/discover`. With `protocol: 'auto'`, the default, `initialize` comes first: every server of
   * 2025-11-25 answers it, one of both revisions too (and is then spoken to in 2025-11-25), and one of
   * 2026-07-28 alone refuses it. If connecting fails, a child that was started is ended first.
   * @throws {RequestTimeoutError} when the server does not answer within `connectTimeoutMs`
   * @throws {ConnectionClosedError} when the server ends, or closes the connection, instead
   * @throws {TaskError} when the server refuses, or speaks none of the revisions asked for
   * @throws the reason of `options.signal`, and what the transport throws, such as that there is no such command
   */
  static async connect(target: Target, options: ConnectOptions = {}): Promise<TaskClient> {
    return new TaskClient(await openWire(target, options));
  }

  /**
   * The generation of the protocol that is spoken: `2025-11-25`, which stands for that revision and the
   * older ones that a server may ask for, or `2026-07-28`.
   */
  get protocol(): ProtocolRevision {
    return this.#wire.protocol;
  }

  /**
   * The SDK's client, for what is not about tools: prompts, resources, log messages.
   * @throws {Error} on a connection of 2026-07-28, which the SDK of 2025-11-25 cannot speak
   */
  get sdk(): Client {
    const { sdk, protocol } = this.#wire;
    if (sdk !== undefined) return sdk;
    throw new Error(
      `client.sdk speaks 2025-11-25, and this connection ${protocol}: a server of both is spoken to in ` +
        "2025-11-25 with the option protocol: '2025-11-25'",
    );
  }

  /**
   * The tools that the server offers, of all pages. Asked for once, and again when the server says that
   * they have changed; on 2026-07-28, when they are older than the server says they may be (caching).
   * @throws {TaskError} when the server refuses
   * @throws {ConnectionClosedError} when the connection is closed
   */
  listTools(): Promise<Tool[]> {
    return this.#wire.listTools();
  }

  /**
   * The tasks that the server keeps for this client, of all pages.
   * @throws {TaskError} when the server does not list tasks; on 2026-07-28 none does
   * @throws {ConnectionClosedError} when the connection is closed
   */
  listTasks(): Promise<TaskSnapshot[]> {
    return this.#wire.listTasks();
  }

  /**
   * Resolves when the server has answered `ping`, or, on 2026-07-28, which has none, `server/discover`.
   * @throws {RequestTimeoutError} when that takes longer than 60 s
   * @throws {ConnectionClosedError} when the connection is closed
   */
  ping(): Promise<void> {
    return this.#wire.ping();
  }

  /**
   * Calls a tool, and waits for its result. A tool that can only be called as a task is, without the caller
   * noticing. What the tool reports as its own failure is a result whose `isError` is true.
   * @throws {TaskError} the server's JSON-RPC error: no such tool, it timed out, its thread died, …
   * @throws {RequestTimeoutError} after `timeoutMs` milliseconds; the tool is stopped
   * @throws {ConnectionClosedError} when the connection closes first
   * @throws the reason of `options.signal`; the tool is stopped (cancellation, in both revisions)
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
   * Where the server or the tool knows no tasks, it is a plain call, and the handle's `mode` says so; on
   * 2026-07-28 the server decides, for each call. Failures are the handle's: nothing is thrown here.
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
    return new ToolTask<T>(this.#wire, { taskId });
  }

  /**
   * Rejects all that is pending with a {@link ConnectionClosedError}, closes the connection, and waits for
   * the end of a child that was started. Plain calls are cancelled; tasks go on, if the server does.
   */
  close(): Promise<void> {
    this.#closing ??= this.#wire.close();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #start<T>(
    wish: Mode,
    name: string,
    args: Record<string, unknown> | undefined,
    { ttl, signal, onProgress, idempotencyKey }: StartTaskOptions,
  ): ToolTask<T> {
    // Of a task, progress may be asked for later; a call that nobody watches need not report any.
    const hasProgress = wish === 'task' || onProgress !== undefined;
    const progressToken = hasProgress ? this.#wire.progress.next() : undefined;
    const call = { wish, name, args, ttl, progressToken, idempotencyKey };
    const task = new ToolTask<T>(this.#wire, { call, signal });
    if (onProgress !== undefined) task.onProgress(onProgress);
    return task;
  }
}
