import { ErrorCode } from '../errors.ts';
import type { Repeatable } from './runner.ts';
import { ending, type Call, type Outcome, type Task } from './task.ts';

const FIRST_PAUSE_MS = 1000;
const LONGEST_PAUSE_MS = 60_000;
/** What has taken its process down this often is not tried again. */
const MOST_INTERRUPTIONS = 2;

/** A task's next run. */
export interface Again {
  readonly pauseMs: number;
  readonly change: Pick<Task, 'failures' | 'interruptions' | 'statusMessage'>;
}

/** What comes after a run that another might do better than: another, or the task's end. */
export function after(task: Task, outcome: Outcome, how: Repeatable): Again | Outcome {
  return how === 'failed' ? afterFailure(task, outcome) : afterInterruption(task, outcome);
}

/** How a task ends that its server leaves behind in its run. */
export const SERVER_STOPPED = interrupted('the server stopped while the task was running');

/** What comes after a run whose server has gone. */
export function afterServerEnd(task: Task): Again | Outcome {
  return afterInterruption(task, SERVER_STOPPED);
}

/** What comes after the last answer to a task whose run has ended meanwhile. */
export function afterWaiting({ call, attempt = 0, failures = 0 }: Task): Again {
  const why = 'the run before ended while it waited for an answer';
  return { pauseMs: 0, change: { statusMessage: words(call, attempt, failures, why) } };
}

/** Where a server that closes leaves a task that runs, for the next one; undefined where it may not be run again. */
export function afterClosing(task: Task): Again | undefined {
  const { idempotent, retry } = task.call;
  if (!idempotent && retry === undefined) return undefined;
  const { attempt = 0, failures = 0 } = task;
  return {
    pauseMs: 0,
    change: { statusMessage: words(task.call, attempt, failures, SERVER_STOPPED.message) },
  };
}

export function interrupted(why: string): Outcome & { type: 'error' } {
  return { type: 'error', code: ErrorCode.internal, message: `interrupted: ${why}` };
}

function afterFailure(task: Task, outcome: Outcome): Again | Outcome {
  const { call, attempt = 1 } = task;
  const failures = (task.failures ?? 0) + 1;
  if (call.retry === undefined || failures >= call.retry.attempts) return outcome;
  const { backoff } = call.retry;
  const pauseMs =
    backoff === 'exponential' ? Math.min(FIRST_PAUSE_MS * 2 ** (failures - 1), LONGEST_PAUSE_MS) : backoff;
  const statusMessage = words(call, attempt, failures, ending(outcome).statusMessage);
  return { pauseMs, change: { failures, statusMessage } };
}

function afterInterruption(task: Task, outcome: Outcome): Again | Outcome {
  const { call, attempt = 1, failures = 0 } = task;
  if (!call.idempotent && call.retry === undefined) return outcome;
  const interruptions = (task.interruptions ?? 0) + 1;
  const why = ending(outcome).statusMessage;
  if (interruptions >= MOST_INTERRUPTIONS) {
    return interrupted(
      `the task has taken down what it ran in ${interruptions} times, and is not tried again: ${why}`,
    );
  }
  return { pauseMs: 0, change: { interruptions, statusMessage: words(call, attempt, failures, why) } };
}

/** Which run comes next, and why. */
function words({ retry }: Call, attempt: number, failures: number, why: string | undefined): string {
  const most = retry === undefined ? '' : ` of ${attempt + retry.attempts - failures}`;
  return `attempt ${attempt + 1}${most}, after: ${why ?? 'the run before did not end well'}`;
}
