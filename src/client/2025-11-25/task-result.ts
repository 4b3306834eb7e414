import type { CallToolResult } from '@modelcontextprotocol/sdk/types.js';
import { sleep } from '../abort.ts';
import { CANCELLED, RequestTimeoutError, TaskCancelledError, TaskError, isPassing } from '../errors.ts';
import { isTerminal, type TaskSnapshot } from '../snapshot.ts';
import type { StatusFeed } from '../status-feed.ts';
import type { Connection } from './connection.ts';
import { getTask, taskResult } from './requests.ts';

/** Requests lost in a row before the result is given up. */
const MAX_LOST = 8;
const MAX_PAUSE_MS = 30_000;

/**
 * Asks for a task's result with one request, which the server answers when the task has ended. Should that
 * request get lost, the task is followed until it has ended, or wants input that comes with that answer
 * (tasks, "Input Required Status" 3), and its result is asked for again.
 * @throws {TaskError} the error that the task ended with, or that the task is unknown
 * @throws {TaskCancelledError} when it was cancelled
 */
export async function fetchResult(
  connection: Connection,
  feed: StatusFeed,
  taskId: string,
  signal: AbortSignal,
): Promise<CallToolResult> {
  for (let lost = 0; ;) {
    try {
      return await taskResult(connection, taskId, {
        signal,
        losable: true,
        timeoutMs: connection.resultTimeoutMs,
      });
    } catch (error) {
      signal.throwIfAborted();
      // It was open for as long as it may be: nothing is wrong.
      if (error instanceof RequestTimeoutError) continue;
      if (error instanceof TaskError) await throwIfEnded(connection, feed, taskId, error);
      else if (!isPassing(error)) throw error;
      if (++lost > MAX_LOST) throw error;
    }
    const wantsAnswer = ({ status }: TaskSnapshot) => isTerminal(status) || status === 'input_required';
    const { pollInterval = 1000 } = await feed.until(wantsAnswer, { signal });
    if (lost > 1) await sleep(Math.min(pollInterval * 1.5 ** lost, MAX_PAUSE_MS), signal);
  }
}

/**
 * Throws the error if it is what the task ended with, and not just what became of the request: the same
 * codes serve both, and only the task's status tells them apart.
 */
async function throwIfEnded(
  connection: Connection,
  feed: StatusFeed,
  taskId: string,
  error: TaskError,
): Promise<void> {
  const { last } = feed;
  let task = last !== undefined && isTerminal(last.status) ? last : undefined;
  if (task === undefined) {
    try {
      task = await getTask(connection, taskId);
    } catch (unknown) {
      // The server has no such task, any more: what it said of it before is all there is.
      if (unknown instanceof TaskError)
        throw error.code === CANCELLED ? new TaskCancelledError(taskId) : error;
      if (isPassing(unknown)) return;
      throw unknown;
    }
    feed.see(task);
  }
  if (task.status === 'cancelled') throw new TaskCancelledError(taskId, task.statusMessage);
  if (isTerminal(task.status)) throw error;
}
