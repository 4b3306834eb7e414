import {
  CallToolResultSchema,
  CancelTaskResultSchema,
  GetTaskResultSchema,
  ListTasksResultSchema,
  ListToolsResultSchema,
  ResultSchema,
  TaskSchema,
  type CallToolResult,
  type Result,
  type Tool,
} from '@modelcontextprotocol/sdk/types.js';
import { IDEMPOTENCY_META } from '../../wire/meta.ts';
import { QUICK_MS } from '../limits.ts';
import { allPages } from '../pages.ts';
import { parseAnswer } from '../schema.ts';
import { toSnapshot, type TaskSnapshot } from '../snapshot.ts';
import type { Call, Started } from '../wire.ts';
import type { Connection, RequestOptions } from './connection.ts';

/** The SDK's schema would take the metadata off a task. (Made once: zod compiles each schema.) */
const WholeTaskSchema = TaskSchema.loose();
const TaskPageSchema = ListTasksResultSchema.extend({ tasks: WholeTaskSchema.array() });

export async function getTask(connection: Connection, taskId: string): Promise<TaskSnapshot> {
  const options = { timeoutMs: QUICK_MS };
  return toSnapshot(await connection.request('tasks/get', { taskId }, GetTaskResultSchema, options));
}

export async function cancelTask(connection: Connection, taskId: string): Promise<TaskSnapshot> {
  const options = { timeoutMs: QUICK_MS };
  return toSnapshot(await connection.request('tasks/cancel', { taskId }, CancelTaskResultSchema, options));
}

/** Answered when the task has ended (tasks, "Result Retrieval" 3). */
export function taskResult(
  connection: Connection,
  taskId: string,
  options: RequestOptions,
): Promise<CallToolResult> {
  return connection.request('tasks/result', { taskId }, CallToolResultSchema, options);
}

export function callTool(
  connection: Connection,
  call: Call,
  options: RequestOptions,
): Promise<CallToolResult> {
  return connection.request('tools/call', encodeCall(call), CallToolResultSchema, options);
}

/**
 * Calls a tool as a task. The server may answer with the result itself, where there was nothing to run.
 * The request itself is never cancelled, only the task (2025-11-25, cancellation, "Behavior Requirements" 3).
 */
export async function createTask(connection: Connection, call: Call): Promise<Started> {
  const params = { ...encodeCall(call), task: call.ttl === undefined ? {} : { ttl: call.ttl } };
  const answer: Result = await connection.request('tools/call', params, ResultSchema, { silent: true });
  if (answer['task'] === undefined)
    return { result: parseAnswer('tools/call', CallToolResultSchema, answer) };
  const task = parseAnswer('tools/call', WholeTaskSchema, answer['task']);
  connection.forget(task.taskId);
  return { task: { ...toSnapshot(task, answer), taskId: task.taskId } };
}

export function listTools(connection: Connection): Promise<Tool[]> {
  return allPages(async (page) => {
    const { tools, nextCursor } = await connection.request('tools/list', page, ListToolsResultSchema, {
      timeoutMs: QUICK_MS,
    });
    return { items: tools, nextCursor };
  });
}

export function listTasks(connection: Connection): Promise<TaskSnapshot[]> {
  return allPages(async (page) => {
    const { tasks, nextCursor } = await connection.request('tasks/list', page, TaskPageSchema, {
      timeoutMs: QUICK_MS,
    });
    return { items: tasks.map((task) => toSnapshot(task)), nextCursor };
  });
}

function encodeCall({ name, args, progressToken, idempotencyKey }: Call): Record<string, unknown> {
  const meta = {
    ...(progressToken !== undefined && { progressToken }),
    ...(idempotencyKey !== undefined && { [IDEMPOTENCY_META]: idempotencyKey }),
  };
  return { name, arguments: args ?? {}, ...(Object.keys(meta).length > 0 && { _meta: meta }) };
}
