import type { TaskView } from '../tasks/observer.ts';
import { isTerminal, type Progress, type Task, type TaskState } from '../tasks/task.ts';
import type { TaskMeta } from './meta.ts';

export type Status = 'working' | 'input_required' | 'completed' | 'failed' | 'cancelled';

/** On the wire a task is `working` from its creation (2025-11-25, tasks, "Task Status Lifecycle"; ext-tasks, "Task Status"). */
export const STATUS: Readonly<Record<TaskState, Status>> = {
  queued: 'working',
  running: 'working',
  input_required: 'input_required',
  completed: 'completed',
  failed: 'failed',
  cancelled: 'cancelled',
};

/** A task's status in words. */
export function statusMessage({ task, ahead, progress }: TaskView): string | undefined {
  if (isTerminal(task)) return task.statusMessage;
  const now = words(task, ahead, progress);
  // Which run it is, and why there is one more.
  return task.statusMessage === undefined ? now : `${now}; ${task.statusMessage}`;
}

function words({ state }: Task, ahead: number | undefined, progress: Progress | undefined): string {
  if (state === 'queued') return ahead === undefined ? 'queued' : `queued, ${ahead} ahead`;
  if (state === 'input_required') return 'waiting for an answer of the client';
  if (progress === undefined) return 'running';
  const { done, total, message } = progress;
  return message ?? (total === undefined ? `running, ${done} done` : `running, ${done} of ${total} done`);
}

/** What the protocol has no words for. */
export function metaOf({ task, ahead }: TaskView): TaskMeta {
  const { state, thread, createdAt, startedAt, endedAt } = task;
  return {
    state,
    ...(ahead !== undefined && { ahead }),
    ...(thread !== undefined && { thread }),
    ...(startedAt !== undefined && { queuedMs: startedAt - createdAt }),
    ...(startedAt !== undefined && endedAt !== undefined && { ranMs: endedAt - startedAt }),
  };
}

/** The parameters of `notifications/progress`. */
export function encodeProgress(progressToken: string | number, { done, total, message }: Progress) {
  return {
    progressToken,
    progress: done,
    ...(total !== undefined && { total }),
    ...(message !== undefined && { message }),
  };
}
