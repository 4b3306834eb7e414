import type { TaskView } from '../tasks/observer.ts';
import { isTerminal, type TerminalTask } from '../tasks/task.ts';
import { statusMessage } from './status.ts';
import type { TaskRecord } from './task-tools-schema.ts';

export type Result = Record<string, unknown>;

/** The last moment that a date can have. */
const LATEST = 8.64e15;

/** A task as a model is told of it. */
export function encodeRecord(view: TaskView): TaskRecord {
  const { task, ahead, progress } = view;
  const { taskId, call, state, createdAt, startedAt } = task;
  const end = task.endedAt ?? Date.now();
  return {
    taskId,
    tool: call.tool,
    status: state,
    message: statusMessage(view) ?? state,
    ...(ahead !== undefined && { ahead }),
    ...(progress !== undefined && {
      progress: { done: progress.done, ...(progress.total !== undefined && { total: progress.total }) },
    }),
    queuedSeconds: ((startedAt ?? end) - createdAt) / 1000,
    ...(startedAt !== undefined && { ranSeconds: (end - startedAt) / 1000 }),
    createdAt: new Date(createdAt).toISOString(),
    expiresAt: new Date(Math.min(task.createdAt + task.ttlMs, LATEST)).toISOString(),
  };
}

/** Structured content, and the same as text for clients that read only that (2025-11-25, tools, "Structured Content"). */
export function structured(content: Result): Result {
  return { content: [textBlock(JSON.stringify(content))], structuredContent: content };
}

export function errorResult(message: string): Result {
  return { content: [textBlock(message)], isError: true };
}

/** A task that goes on with what to do about it, or one that has ended with what its tool gave. */
export function encodeChecked(view: TaskView): Result {
  const record = encodeRecord(view);
  if (isTerminal(view.task)) return encodeEnd(view.task, record);
  return structured({ ...record, next: `Not finished: call check_task again with taskId ${record.taskId}` });
}

function encodeEnd({ outcome }: TerminalTask, record: TaskRecord): Result {
  switch (outcome.type) {
    case 'result': {
      const { result } = outcome;
      const given = result['structuredContent'] ?? textOf(result['content'] as { text?: unknown }[]);
      // Some clients show a model the structured content alone.
      return { ...result, structuredContent: { ...record, ...(given !== undefined && { result: given }) } };
    }
    case 'error':
      return { ...errorResult(`The task failed: ${outcome.message}`), structuredContent: record };
    case 'cancelled':
      return structured(record);
  }
}

function textOf(content: readonly { text?: unknown }[]): string | undefined {
  const texts = content.map(({ text }) => text).filter((text) => typeof text === 'string');
  return texts.length === 0 ? undefined : texts.join('\n');
}

function textBlock(text: string) {
  return { type: 'text', text };
}
