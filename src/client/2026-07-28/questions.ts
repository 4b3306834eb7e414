import {
  CreateMessageResultSchema,
  CreateMessageResultWithToolsSchema,
  ElicitResultSchema,
  type CreateMessageRequestParams,
  type ElicitRequestParams,
} from '@modelcontextprotocol/sdk/types.js';
import { onAbort } from '../abort.ts';
import type { AnswerOptions, QuestionContext } from '../answers.ts';
import { InvalidAnswerError } from '../errors.ts';
import type { Schema } from '../schema.ts';
import type { InputRequests } from './schemas.ts';

type Question = InputRequests[string];
/** The result of a request, as it goes back to the server. */
export type Reply = Record<string, unknown>;

/**
 * Puts what the server asks to the handler that is there for it.
 * @throws what the handler throws
 * @throws {InvalidAnswerError} when the server asks what the client has not declared
 * @throws {TypeError} when the handler's answer is none
 */
export async function answerQuestion(
  { method, params = {} }: Question,
  { onElicit, onSample }: AnswerOptions,
  context: QuestionContext,
): Promise<Reply> {
  if (method === 'elicitation/create' && onElicit !== undefined) {
    // What says no mode is a form.
    const question = { mode: 'form', ...params } as unknown as ElicitRequestParams;
    return checked('onElicit', ElicitResultSchema, await onElicit(question, context));
  }
  if (method === 'sampling/createMessage' && onSample !== undefined) {
    const hasTools = params['tools'] !== undefined || params['toolChoice'] !== undefined;
    const schema = hasTools ? CreateMessageResultWithToolsSchema : CreateMessageResultSchema;
    const question = params as unknown as CreateMessageRequestParams;
    return checked('onSample', schema, await onSample(question, context));
  }
  throw new InvalidAnswerError(`The server asks for ${method}, which this client has not declared`);
}

/**
 * Answers all that a call is to be made again with.
 * @throws as {@link answerQuestion}; the questions that are open then are taken back
 */
export async function answerAll(
  questions: InputRequests,
  options: AnswerOptions,
  signal: AbortSignal,
): Promise<Record<string, Reply>> {
  const stop = new AbortController();
  const unlink = onAbort(signal, () => stop.abort(signal.reason));
  const context = { signal: stop.signal, taskId: undefined };
  try {
    const answers = Object.entries(questions).map(
      async ([key, question]) => [key, await answerQuestion(question, options, context)] as const,
    );
    return Object.fromEntries(await Promise.all(answers));
  } catch (error) {
    stop.abort(error);
    throw error;
  } finally {
    unlink();
  }
}

function checked(handler: string, schema: Schema<Reply>, answer: unknown): Reply {
  const parsed = schema.safeParse(answer);
  if (parsed.success) return parsed.data;
  throw new TypeError(`${handler} returned no valid answer: ${parsed.error.message}`);
}
