import type { PendingQuestion, Question } from '../tasks/question.ts';
import type { TaskView } from '../tasks/observer.ts';
import { isTerminal, type Outcome, type TaskState, type TerminalTask } from '../tasks/task.ts';
import { ErrorCode, ProtocolError } from '../errors.ts';
import { TASK_META } from './meta.ts';
import { METHODS } from './questions.ts';
import { STATUS, metaOf, statusMessage, type Status } from './status.ts';

type Fields = Readonly<Record<string, unknown>>;

/** What a client is told in place of the result (ext-tasks, "Task Creation"). */
export function encodeCreated(view: TaskView): Record<string, unknown> {
  return { resultType: 'task', ...encodeBase(view) };
}

/**
 * A task with what belongs to its status: what it asks, its result or its error (ext-tasks, "Task Status"). The
 * status `failed` is for JSON-RPC errors alone: a result that reports an error is a result.
 */
export function encodeDetailed(view: TaskView): Record<string, unknown> {
  const { task } = view;
  const base = encodeBase(view);
  if (isTerminal(task)) return { ...base, ...encodeEnd(task.outcome) };
  const questions = view.questions ?? [];
  return questions.length === 0 ? base : { ...base, inputRequests: encodeQuestions(questions) };
}

/** The result of a call that is no task; its error is thrown. */
export function encodeResult({ outcome }: TerminalTask): Record<string, unknown> {
  switch (outcome.type) {
    case 'result':
      return { ...outcome.result };
    case 'error':
      throw new ProtocolError(outcome.code, outcome.message);
    case 'cancelled':
      throw new ProtocolError(ErrorCode.cancelled, 'The call was cancelled');
  }
}

/** Requests to the client, by their keys (basic/patterns, "Multi Round-Trip Requests"). */
export function encodeQuestions(
  questions: Iterable<Pick<PendingQuestion, 'key' | 'question'>>,
): Record<string, unknown> {
  return Object.fromEntries([...questions].map(({ key, question }) => [key, encodeQuestion(question)]));
}

function encodeQuestion({ kind, params }: Question): Fields {
  // This revision has no id for a page that the user is to visit.
  const { elicitationId: _, ...rest } = params;
  return { method: METHODS[kind], params: rest };
}

function encodeBase(view: TaskView): Record<string, unknown> {
  const { task, questions = [] } = view;
  const message = statusMessage(view);
  return {
    taskId: task.taskId,
    status: statusOf(task.state, task.outcome, questions.length > 0),
    ...(message !== undefined && { statusMessage: message }),
    createdAt: new Date(task.createdAt).toISOString(),
    lastUpdatedAt: new Date(task.updatedAt).toISOString(),
    ttlMs: task.ttlMs,
    pollIntervalMs: task.pollIntervalMs,
    _meta: { [TASK_META]: metaOf(view) },
  };
}

function statusOf(state: TaskState, outcome: Outcome | undefined, asks: boolean): Status {
  if (outcome?.type === 'result') return 'completed';
  // All has been answered, and the store is still being told.
  return state === 'input_required' && !asks ? 'working' : STATUS[state];
}

function encodeEnd(outcome: Outcome): Fields {
  switch (outcome.type) {
    case 'result':
      return { result: { resultType: 'complete', ...outcome.result } };
    case 'error':
      return { error: { code: outcome.code, message: outcome.message } };
    case 'cancelled':
      return {};
  }
}
