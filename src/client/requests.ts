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
import type { Connection, RequestOptions, Schema } from './connection.ts';
import { InvalidAnswerError } from './errors.ts';
import { IDEMPOTENCY_META } from '../wire/meta.ts';
import { toSnapshot, type TaskSnapshot } from './snapshot.ts';

/** For what the server answers without waiting for anything. */
export const QUICK_MS = 60_000;

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

export interface CallParams {
  name: string;
  args: Record<string, unknown> | undefined;
  progressToken: string | undefined;
  idempotencyKey: string | undefined;
}

export function callTool(
  connection: Connection,
  call: CallParams,
  options: RequestOptions,
): Promise<CallToolResult> {
  return connection.request('tools/call', encodeCall(call), CallToolResultSchema, options);
}

/**
 * Calls a tool as a task. The server may answer with the result itself, where there was nothing to run.
 * The request itself is never cancelled, only the task (2025-11-25, cancellation, "Behavior Requirements" 3).
 */
export async function createTask(
  connection: Connection,
  call: CallParams,
  ttl: number | undefined,
): Promise<{ task: TaskSnapshot & { taskId: string } } | { result: CallToolResult }> {
  const params = { ...encodeCall(call), task: ttl === undefined ? {} : { ttl } };
  const answer: Result = await connection.request('tools/call', params, ResultSchema, { silent: true });
  if (answer['task'] === undefined) return { result: parse(CallToolResultSchema, answer) };
  const task = parse(WholeTaskSchema, answer['task']);
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

/** Cursors are opaque: each is sent back as it came (2025-11-25, pagination). */
async function allPages<T>(
  load: (page: { cursor?: string }) => Promise<{ items: T[]; nextCursor: string | undefined }>,
): Promise<T[]> {
  const all: T[] = [];
  for (let cursor: string | undefined; ;) {
    const { items, nextCursor } = await load(cursor === undefined ? {} : { cursor });
    for (const item of items) all.push(item);
    if (nextCursor === undefined) return all;
    if (nextCursor === cursor) throw new InvalidAnswerError('The server gave the same page twice');
    cursor = nextCursor;
  }
}

function encodeCall({ name, args, progressToken, idempotencyKey }: CallParams): Record<string, unknown> {
  const meta = {
    ...(progressToken !== undefined && { progressToken }),
    ...(idempotencyKey !== undefined && { [IDEMPOTENCY_META]: idempotencyKey }),
  };
  return { name, arguments: args ?? {}, ...(Object.keys(meta).length > 0 && { _meta: meta }) };
}

function parse<T>(schema: Schema<T>, answer: unknown): T {
  const parsed = schema.safeParse(answer);
  if (parsed.success) return parsed.data;
  throw new InvalidAnswerError(`tools/call: the server's answer is malformed: ${parsed.error.message}`);
}
