import type {
  ClientCapabilities,
  CreateMessageRequestParams,
  CreateMessageResult,
  CreateMessageResultWithTools,
  ElicitRequestParams,
  ElicitResult,
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
   * them to a page (elicitation, in both revisions). What it throws is an error answer on 2025-11-25. On
   * 2026-07-28, which has none, it fails a call, and is the answer `cancel` to a task.
   */
  onElicit?: (params: ElicitRequestParams, context: QuestionContext) => ElicitResult | Promise<ElicitResult>;
  /**
   * Asks a language model (sampling, in both revisions). What it throws is an error answer on 2025-11-25. On
   * 2026-07-28, which has none, it is what the call, or the task's `result()`, rejects with.
   */
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
