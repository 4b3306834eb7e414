import { RELATED_TASK_META_KEY, type Task as WireTask } from '@modelcontextprotocol/sdk/types.js';
import { ErrorCode, ProtocolError } from '../errors.ts';
import type { TaskView } from '../tasks/observer.ts';
import type { TerminalTask } from '../tasks/task.ts';
import { TASK_META } from './meta.ts';
import { STATUS, metaOf, statusMessage } from './status.ts';

export function encodeTask(view: TaskView): WireTask & { _meta: Record<string, unknown> } {
  const { task } = view;
  const message = statusMessage(view);
  return {
    taskId: task.taskId,
    status: STATUS[task.state],
    ...(message !== undefined && { statusMessage: message }),
    createdAt: new Date(task.createdAt).toISOString(),
    lastUpdatedAt: new Date(task.updatedAt).toISOString(),
    ttl: task.ttlMs,
    pollInterval: task.pollIntervalMs,
    _meta: { [TASK_META]: metaOf(view) },
  };
}

/** What the underlying request would have returned: its result, or its error thrown ("Result Retrieval" 4). */
export function encodeOutcome(
  task: TerminalTask,
): Record<string, unknown> & { _meta: Record<string, unknown> } {
  const { outcome } = task;
  switch (outcome.type) {
    case 'result':
      return {
        ...outcome.result,
        _meta: { ...(outcome.result['_meta'] as object | undefined), [TASK_META]: metaOf({ task }) },
      };
    case 'error':
      throw new ProtocolError(outcome.code, outcome.message);
    case 'cancelled':
      throw new ProtocolError(ErrorCode.cancelled, 'The task was cancelled by request');
  }
}

/** The tie between a message and its task, where the message does not carry the id itself. */
export function relatedTask(taskId: string): Record<string, unknown> {
  return { [RELATED_TASK_META_KEY]: { taskId } };
}
