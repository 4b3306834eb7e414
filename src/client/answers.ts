import type { Client } from '@modelcontextprotocol/sdk/client/index.js';
import {
  CreateMessageRequestSchema,
  ElicitRequestSchema,
  RELATED_TASK_META_KEY,
  type ClientCapabilities,
  type CreateMessageRequestParams,
  type CreateMessageResult,
  type CreateMessageResultWithTools,
  type ElicitRequestParams,
  type ElicitResult,
  type Result,
} from '@modelcontextprotocol/sdk/types.js';

/** What comes with a question of the server's. */
export interface QuestionContext {
  /** Aborts when the server takes the question back, or the connection closes. */
  signal: AbortSignal;
  /** The task that waits for the answer, if it is one. */
  taskId: string | undefined;
}

/** Who answers what a server asks while it works. Each declares the capability that it needs. */
export interface AnswerOptions {
  /**
   * Asks the user: with a form (`params.requestedSchema`), or, where `params.mode` is `url`, by sending
   * them to a page (2025-11-25, elicitation).
   */
  onElicit?: (params: ElicitRequestParams, context: QuestionContext) => ElicitResult | Promise<ElicitResult>;
  /** Asks a language model (2025-11-25, sampling). */
  onSample?: (
    params: CreateMessageRequestParams,
    context: QuestionContext,
  ) =>
    | CreateMessageResult
    | CreateMessageResultWithTools
    | Promise<CreateMessageResult | CreateMessageResultWithTools>;
}

/** What a client that answers must declare. */
export function answerCapabilities({ onElicit, onSample }: AnswerOptions): ClientCapabilities {
  return {
    ...(onElicit !== undefined && { elicitation: { form: {}, url: {} } }),
    ...(onSample !== undefined && { sampling: {} }),
  };
}

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
