import { UnknownTaskError } from '../errors.ts';
import type { Engine } from '../tasks/engine.ts';
import type { RunObserver } from '../tasks/observer.ts';
import type { Answer, PendingQuestion } from '../tasks/question.ts';
import type { Request } from './2026-07-28-parked.ts';
import { incapable, refusing } from './questions.ts';
import type { TaskTools } from './task-tools.ts';
import type { TaskToolName } from './task-tools-schema.ts';

interface TaskToolCall {
  readonly name: TaskToolName;
  readonly args: Readonly<Record<string, unknown>>;
  readonly owner: string;
  /** What was asked when the task was checked before, and its answers. */
  readonly answered?: { readonly taskId: string; readonly answers: ReadonlyMap<string, Answer> } | undefined;
}

/**
 * Answers a call of a task tool, with what the checked task asks where it asks something: a client without the
 * tasks extension has no other way to be asked.
 */
export async function callTaskTool(
  taskTools: TaskTools,
  engine: Engine,
  { name, args, owner, answered }: TaskToolCall,
  { signal, capabilities, observerOf: told }: Request,
): Promise<{ result: Record<string, unknown> } | { taskId: string; questions: PendingQuestion[] }> {
  // A task that has expired meanwhile is unknown to `check_task` too, which says so in words for a model.
  if (answered !== undefined) {
    await engine.answer(owner, answered.taskId, answered.answers).catch((error: unknown) => {
      if (!(error instanceof UnknownTaskError)) throw error;
    });
  }
  const questions: PendingQuestion[] = [];
  const enough = new AbortController();
  const either = AbortSignal.any([signal, enough.signal]);
  const observerOf = (tool: string): RunObserver => ({
    ...told(tool),
    asked: (pending) => {
      const problem = incapable(pending.question, capabilities);
      if (problem !== undefined) return pending.answer({ type: 'error', message: problem });
      questions.push(pending);
      // With all that is asked at once.
      setImmediate(() => enough.abort());
    },
  });
  try {
    const follower = refusing(capabilities);
    return { result: await taskTools.call(name, args, { owner, signal: either, observerOf, follower }) };
  } catch (error) {
    if (signal.aborted || questions.length === 0) throw error;
    return { taskId: args['taskId'] as string, questions };
  }
}
