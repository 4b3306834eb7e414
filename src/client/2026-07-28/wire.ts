import { EmptyResultSchema, type CallToolResult, type Tool } from '@modelcontextprotocol/sdk/types.js';
import { TASK_META } from '../../wire/meta.ts';
import { onAbort } from '../abort.ts';
import type { AnswerOptions } from '../answers.ts';
import { InvalidAnswerError, TaskCancelledError, TaskError, unsupported } from '../errors.ts';
import { QUICK_MS } from '../limits.ts';
import { metaOf } from '../result.ts';
import { isTerminal, toSnapshot, type TaskSnapshot } from '../snapshot.ts';
import { parseAnswer } from '../schema.ts';
import type { ProgressTokens } from '../progress-tokens.ts';
import type { StatusFeed } from '../status-feed.ts';
import type { Ending } from '../ending.ts';
import type { Call, Mode, Started, Watcher, Wire } from '../wire.ts';
import { callTool } from './call-tool.ts';
import type { Connection } from './connection.ts';
import { REVISION } from './names.ts';
import {
  DetailedTaskSchema,
  DiscoverResultSchema,
  ToolResultSchema,
  toTask,
  type DetailedTask,
} from './schemas.ts';
import { Subscriptions } from './subscriptions.ts';
import { TaskInputs } from './task-inputs.ts';
import { ToolList } from './tool-list.ts';

/** 2026-07-28, with the extension that its tasks are: the server decides what becomes a task. */
export class ModernWire implements Wire {
  readonly protocol = REVISION;
  readonly sdk = undefined;
  readonly progress: ProgressTokens;
  readonly ending: Ending;
  readonly #connection: Connection;
  readonly #options: AnswerOptions;
  readonly #hasTasks: boolean;
  readonly #gone: () => Promise<void>;
  readonly #tools: ToolList;
  readonly #inputs: TaskInputs;
  readonly #subscriptions: Subscriptions;
  /** What came with a snapshot: a task that has ended brings its result or error along. */
  readonly #details = new WeakMap<TaskSnapshot, DetailedTask>();

  /**
   * @param hasTasks whether the server declared the extension
   * @param gone resolves when a child that was started is gone
   */
  constructor(connection: Connection, options: AnswerOptions, hasTasks: boolean, gone: () => Promise<void>) {
    this.#connection = connection;
    this.progress = connection.progress;
    this.ending = connection.ending;
    this.#options = options;
    this.#hasTasks = hasTasks;
    this.#gone = gone;
    this.#tools = new ToolList(connection);
    this.#subscriptions = new Subscriptions(connection, hasTasks, (params) => this.#notified(params));
    this.#inputs = new TaskInputs(
      connection,
      options,
      (taskId) => this.#subscriptions.poke(taskId),
      async (taskId, keys) => {
        const task = await this.#get(taskId);
        return task.status === 'input_required' && keys.some((key) => Object.hasOwn(task.inputRequests, key));
      },
    );
  }

  listTools(): Promise<Tool[]> {
    return this.#tools.all();
  }

  async listTasks(): Promise<TaskSnapshot[]> {
    const why =
      'tasks/list: 2026-07-28 has no such method; keep the ids of tasks, and use client.task(taskId)';
    throw new TaskError(unsupported('tasks/list').code, why);
  }

  async ping(): Promise<void> {
    const options = { timeoutMs: QUICK_MS };
    await this.#connection.request('server/discover', {}, DiscoverResultSchema, options);
  }

  call(call: Call, onMode: (mode: Mode) => void, signal: AbortSignal): Promise<Started> {
    // Otherwise the answer tells.
    if (!this.#hasTasks) onMode('call');
    return callTool(this.#connection, this.#tools, this.#options, call, signal);
  }

  async getTask(taskId: string): Promise<TaskSnapshot> {
    return this.#see(await this.#get(taskId));
  }

  /** The server acknowledges that it was asked to, no more (ext-tasks, "Task Cancellation"). */
  async cancelTask(taskId: string, feed: StatusFeed): Promise<TaskSnapshot> {
    if (!this.#hasTasks) throw unsupported('tasks/cancel', taskId);
    let refusal: TaskError | undefined;
    try {
      const options = { timeoutMs: QUICK_MS };
      await this.#connection.request('tasks/cancel', { taskId }, EmptyResultSchema.loose(), options);
    } catch (error) {
      if (!(error instanceof TaskError)) throw error;
      // Because it has ended, perhaps.
      refusal = error;
    }
    const task = await this.getTask(taskId).catch((error: unknown) => {
      throw refusal ?? error;
    });
    if (isTerminal(task.status)) return task;
    if (refusal !== undefined) throw refusal;
    feed.see(task);
    return feed.until(({ status }) => isTerminal(status));
  }

  /** Follows the task to its end, which brings the result along. */
  async taskResult(taskId: string, feed: StatusFeed, signal: AbortSignal): Promise<CallToolResult> {
    // What there was no answer to, another client may have answered since.
    if (this.#inputs.hasFailed(taskId)) feed.see(await this.getTask(taskId));
    signal.throwIfAborted();
    const stop = new AbortController();
    const unlink = [
      onAbort(signal, () => stop.abort(signal.reason)),
      this.#inputs.onFailure(taskId, (error) => stop.abort(error)),
    ];
    try {
      const end = await feed.until(({ status }) => isTerminal(status), { signal: stop.signal });
      // That a task has ended when it is created is said without its result.
      return outcomeOf(this.#details.get(end) ?? (await this.#get(taskId)));
    } finally {
      for (const off of unlink) off();
    }
  }

  watch(taskId: string, watcher: Watcher): () => void {
    return this.#subscriptions.watch(taskId, watcher);
  }

  async close(): Promise<void> {
    await this.#connection.close();
    await this.#gone();
  }

  async #get(taskId: string): Promise<DetailedTask> {
    const options = { timeoutMs: QUICK_MS };
    const task = await this.#connection.request('tasks/get', { taskId }, DetailedTaskSchema, options);
    if (task.taskId === taskId) return task;
    throw new InvalidAnswerError(`tasks/get: the server was asked for ${taskId}, and told of ${task.taskId}`);
  }

  #notified(params: unknown): void {
    const parsed = DetailedTaskSchema.safeParse(params);
    if (!parsed.success) {
      const why = `notifications/tasks is malformed: ${parsed.error.message}`;
      return this.#connection.fail(new InvalidAnswerError(why));
    }
    const task = this.#see(parsed.data);
    for (const watcher of this.#subscriptions.watchersOf(parsed.data.taskId)) watcher.seen(task);
  }

  #see(task: DetailedTask): TaskSnapshot {
    const snapshot = toSnapshot(toTask(task));
    this.#details.set(snapshot, task);
    this.#inputs.observe(task);
    return snapshot;
  }
}

function outcomeOf(task: DetailedTask): CallToolResult {
  const { taskId } = task;
  switch (task.status) {
    case 'completed': {
      const result = parseAnswer('tasks/get', ToolResultSchema, task.result);
      // What an mcp-taskpool server says of the task is said with the task.
      const meta = metaOf(task as { _meta?: unknown });
      return meta === undefined ? result : { ...result, _meta: { [TASK_META]: meta, ...result._meta } };
    }
    case 'failed': {
      const { code, message, data } = task.error;
      throw new TaskError(code, message, { data, taskId });
    }
    case 'cancelled':
      throw new TaskCancelledError(taskId, task.statusMessage);
    case 'working':
    case 'input_required':
      throw new InvalidAnswerError(`tasks/get: task ${taskId} had ended, and is ${task.status} again`);
  }
}
