import type { Client } from '@modelcontextprotocol/sdk/client/index.js';
import {
  CreateMessageRequestSchema,
  ElicitRequestSchema,
  RELATED_TASK_META_KEY,
  type Result,
} from '@modelcontextprotocol/sdk/types.js';
import type { AnswerOptions, QuestionContext } from '../answers.ts';

/** The SDK checks the answers, and makes an error answer of what a handler throws. */
export function installAnswers(sdk: Client, { onElicit, onSample }: AnswerOptions): void {
  if (onElicit !== undefined) {
    sdk.setRequestHandler(ElicitRequestSchema, async ({ params }, extra) => {
      // What says no mode is a form.
      const question = params.mode === undefined ? { ...params, mode: 'form' as const } : params;
      return related(await onElicit(question, contextOf(params, extra)), params);
    });
  }
  if (onSample !== undefined) {
    sdk.setRequestHandler(CreateMessageRequestSchema, async ({ params }, extra) =>
      related(await onSample(params, contextOf(params, extra)), params),
    );
  }
}

type Params = { _meta?: { [RELATED_TASK_META_KEY]?: { taskId: string } | undefined } | undefined };

function contextOf(params: Params, { signal }: { signal: AbortSignal }): QuestionContext {
  return { signal, taskId: params._meta?.[RELATED_TASK_META_KEY]?.taskId };
}

/** All that concerns a task says which, responses too (tasks, "Associating Task-Related Messages" 1). */
function related<R extends Result>(result: R, params: Params): R {
  const task = params._meta?.[RELATED_TASK_META_KEY];
  if (task === undefined) return result;
  return { ...result, _meta: { ...result._meta, [RELATED_TASK_META_KEY]: task } };
}
