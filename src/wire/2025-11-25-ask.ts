import { McpError, ResultSchema } from '@modelcontextprotocol/sdk/types.js';
import type { PendingQuestion } from '../tasks/question.ts';
import { METHODS } from './questions.ts';

const LONGEST_TIMEOUT_MS = 2 ** 31 - 1;

/** Sends a request to the client: on the stream of a request of its own, or on the standalone one. */
export type SendRequest = (
  request: { method: string; params: Record<string, unknown> },
  schema: typeof ResultSchema,
  options: { signal: AbortSignal; timeout: number },
) => Promise<Record<string, unknown>>;

/**
 * Puts a question to the client (2025-11-25, elicitation; sampling). What the client answers is the answer, be
 * it an error. Where the question could not be put, or the stream was dropped, it is given back.
 * @param gone      is aborted when the stream is
 * @param timeoutMs after it the question is given back
 */
export async function ask(
  pending: PendingQuestion,
  send: SendRequest,
  meta: Record<string, unknown>,
  gone: AbortSignal | undefined,
  timeoutMs = LONGEST_TIMEOUT_MS,
): Promise<void> {
  const taken = pending.take();
  if (taken === undefined) return;
  const { kind, params } = pending.question;
  const request = { method: METHODS[kind], params: { ...params, _meta: meta } };
  const signal = gone === undefined ? taken : AbortSignal.any([taken, gone]);
  try {
    const result = await send(request, ResultSchema, { signal, timeout: timeoutMs });
    pending.answer({ type: 'answer', result }, taken);
  } catch (error) {
    if (taken.aborted) return;
    // The SDK's own codes for what never reached the client, or came to no end there.
    const isAnswer = error instanceof McpError && error.code !== -32000 && error.code !== -32001;
    if (isAnswer && gone?.aborted !== true) pending.answer({ type: 'error', message: wordsOf(error) }, taken);
    else pending.release(taken);
  }
}

/** The SDK puts the code before the message. */
function wordsOf({ message, code }: McpError): string {
  return message.replace(`MCP error ${code}: `, '');
}
