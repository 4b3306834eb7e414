import type { Client } from '@modelcontextprotocol/sdk/client/index.js';
import {
  EmptyResultSchema,
  ToolListChangedNotificationSchema,
  type CallToolResult,
  type Tool,
} from '@modelcontextprotocol/sdk/types.js';
import { TaskError, unsupported } from '../errors.ts';
import { QUICK_MS } from '../limits.ts';
import { isTerminal, type TaskSnapshot } from '../snapshot.ts';
import type { ProgressTokens } from '../progress-tokens.ts';
import type { StatusFeed } from '../status-feed.ts';
import type { Ending } from '../ending.ts';
import type { Route } from '../target.ts';
import type { Call, Mode, Started, Watcher, Wire } from '../wire.ts';
import type { Connection } from './connection.ts';
import { cancelTask, getTask, listTasks } from './requests.ts';
import { startCall } from './start-call.ts';
import { fetchResult } from './task-result.ts';
import { ToolList } from './tool-list.ts';

/** 2025-11-25, and the revisions before it, on the SDK's client. */
export class LegacyWire implements Wire {
  readonly protocol = '2025-11-25';
  readonly sdk: Client;
  readonly progress: ProgressTokens;
  readonly ending: Ending;
  readonly #connection: Connection;
  readonly #route: Route;
  readonly #tools: ToolList;

  constructor(sdk: Client, connection: Connection, route: Route) {
    this.sdk = sdk;
    this.#connection = connection;
    this.progress = connection.progress;
    this.ending = connection.ending;
    this.#route = route;
    this.#tools = new ToolList(connection);
    sdk.setNotificationHandler(ToolListChangedNotificationSchema, () => this.#tools.drop());
  }

  listTools(): Promise<Tool[]> {
    return this.#tools.all();
  }

  async listTasks(): Promise<TaskSnapshot[]> {
    if (!this.#connection.tasks.list) throw unsupported('tasks/list');
    return listTasks(this.#connection);
  }

  async ping(): Promise<void> {
    await this.#connection.request('ping', {}, EmptyResultSchema, { timeoutMs: QUICK_MS });
  }

  call(call: Call, onMode: (mode: Mode) => void, signal: AbortSignal): Promise<Started> {
    return startCall(this.#connection, this.#tools, call, onMode, signal);
  }

  getTask(taskId: string): Promise<TaskSnapshot> {
    return getTask(this.#connection, taskId);
  }

  async cancelTask(taskId: string): Promise<TaskSnapshot> {
    if (!this.#connection.tasks.cancel) throw unsupported('tasks/cancel', taskId);
    try {
      return await cancelTask(this.#connection, taskId);
    } catch (error) {
      if (!(error instanceof TaskError)) throw error;
      // Refused, because it has ended (tasks, "Task Cancellation" 1)?
      const task = await getTask(this.#connection, taskId).catch(() => undefined);
      if (task === undefined || !isTerminal(task.status)) throw error;
      return task;
    }
  }

  async taskResult(taskId: string, feed: StatusFeed, signal: AbortSignal): Promise<CallToolResult> {
    const result = await fetchResult(this.#connection, feed, taskId, signal);
    // Who listens for the end need not wait for the next poll.
    feed.poke();
    return result;
  }

  watch(taskId: string, watcher: Watcher): () => void {
    return this.#connection.watch(taskId, (task) => watcher.seen(task));
  }

  async close(): Promise<void> {
    this.#connection.end();
    await this.#route.leave();
    await this.sdk.close();
    await this.#route.gone();
  }
}
