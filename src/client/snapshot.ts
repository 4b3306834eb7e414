import type { Task } from '@modelcontextprotocol/sdk/types.js';
import { metaOf } from './result.ts';

/**
 * Where a task stands. `submitted`: the server has not acknowledged it yet, or it has and (as only an
 * mcp-taskpool server says) no thread has picked it up; the others are the protocol's own.
 */
export type TaskStatus = 'submitted' | 'working' | 'input_required' | 'completed' | 'failed' | 'cancelled';

/** A task as it was at one moment (2025-11-25, tasks, "Task"; 2026-07-28, ext-tasks, "Tasks"). */
export interface TaskSnapshot {
  /** Undefined until the server has acknowledged the task, and for a plain call. */
  taskId: string | undefined;
  status: TaskStatus;
  /** For people; on failure, what went wrong. */
  statusMessage?: string;
  /** ISO 8601. */
  createdAt: string;
  /** ISO 8601. */
  lastUpdatedAt: string;
  /** Milliseconds from its creation after which the server may delete it; null: never. */
  ttl: number | null;
  /** The pause between polls that the server suggests, in milliseconds. */
  pollInterval?: number;
  /** How many tasks start before it, while it is queued; from mcp-taskpool servers only. */
  ahead?: number;
  /** The id of the thread that runs or ran it; from mcp-taskpool servers only. */
  thread?: number;
}

/** Whether a task with this status has ended, and so never changes again. */
export function isTerminal(status: TaskStatus): boolean {
  return status === 'completed' || status === 'failed' || status === 'cancelled';
}

/** What the server said of a task; `carrier` has the metadata where the task itself does not. */
export function toSnapshot(
  task: Task & { _meta?: unknown },
  carrier: { _meta?: unknown } = task,
): TaskSnapshot {
  const meta = metaOf(task) ?? metaOf(carrier);
  const { taskId, status, statusMessage, createdAt, lastUpdatedAt, ttl, pollInterval } = task;
  return {
    taskId,
    status: status === 'working' && meta?.state === 'queued' ? 'submitted' : status,
    ...(statusMessage !== undefined && { statusMessage }),
    createdAt,
    lastUpdatedAt,
    ttl,
    ...(pollInterval !== undefined && { pollInterval }),
    ...(meta?.ahead !== undefined && { ahead: meta.ahead }),
    ...(meta?.thread !== undefined && { thread: meta.thread }),
  };
}

/** What the client knows by itself: of a task that is not acknowledged, and of a plain call. */
export function localSnapshot(
  status: TaskStatus,
  before: { createdAt?: string; ttl: number | null } | undefined,
  statusMessage?: string,
): TaskSnapshot {
  const now = new Date().toISOString();
  return {
    taskId: undefined,
    status,
    ...(statusMessage !== undefined && { statusMessage }),
    createdAt: before?.createdAt ?? now,
    lastUpdatedAt: now,
    ttl: before?.ttl ?? null,
  };
}

/**
 * Whether `next` says nothing that `last` does not know better. Answers and notifications may overtake
 * each other, and terminal is final.
 */
export function isStale(next: TaskSnapshot, last: TaskSnapshot | undefined): boolean {
  if (last === undefined) return false;
  if (isTerminal(last.status)) return true;
  // The client's clock and the server's do not compare.
  if (last.taskId === undefined || next.taskId === undefined) return false;
  const later = Date.parse(next.lastUpdatedAt) - Date.parse(last.lastUpdatedAt);
  return later < 0 || (later === 0 && next.status === 'submitted' && last.status !== 'submitted');
}

/** Whether anything is different that somebody who watches a task would see. */
export function differs(a: TaskSnapshot | undefined, b: TaskSnapshot): boolean {
  return (
    a?.status !== b.status ||
    a.statusMessage !== b.statusMessage ||
    a.lastUpdatedAt !== b.lastUpdatedAt ||
    a.ahead !== b.ahead
  );
}
