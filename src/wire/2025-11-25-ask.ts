import { McpError, ResultSchema, type ClientCapabilities } from '@modelcontextprotocol/sdk/types.js';
import type { Observer } from '../tasks/observer.ts';
import type { PendingQuestion, Question } from '../tasks/question.ts';

const LONGEST_TIMEOUT_MS = 2 ** 31 - 1;

/** Sends a request to the client: on the stream of a request of its own, or on the standalone one. */
export type SendRequest = (
  request: { method: string; params: Record<string, unknown> },
  schema: typeof ResultSchema,
  options: { signal: AbortSignal; timeout: number },
) => Promise<Record<string, unknown>>;

const METHODS = { input: 'elicitation/create', sample: 'sampling/createMessage' } as const;

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
    pending.answer({ type: 'answer', result });
  } catch (error) {
    if (taken.aborted) return;
    // The SDK's own codes for what never reached the client, or came to no end there.
    const isAnswer = error instanceof McpError && error.code !== -32000 && error.code !== -32001;
    if (isAnswer && gone?.aborted !== true) pending.answer({ type: 'error', message: wordsOf(error) });
    else pending.release(taken);
  }
}

/** Why the client cannot be asked this; undefined where it can (2025-11-25, elicitation and sampling, "Capabilities"). */
export function incapable(
  { kind, params }: Question,
  capabilities: ClientCapabilities | undefined,
): string | undefined {
  const { elicitation, sampling } = capabilities ?? {};
  if (kind === 'sample') return sampling === undefined ? 'The client does not support sampling' : undefined;
  if (elicitation === undefined) return 'The client does not support elicitation: the user cannot be asked';
  const mode = params['mode'] === 'url' ? 'url' : 'form';
  // An empty object means forms.
  const supported = mode in elicitation || (mode === 'form' && !('url' in elicitation));
  return supported ? undefined : `The client does not support elicitation in ${mode} mode`;
}

/** Follows tasks of a client that has to be asked on requests of its own, and answers what it cannot be asked. */
export function refusing(capabilities: ClientCapabilities | undefined): Observer {
  return {
    asked: (pending) => {
      const message = incapable(pending.question, capabilities);
      if (message !== undefined) pending.answer({ type: 'error', message });
    },
  };
}

/** The SDK puts the code before the message. */
function wordsOf({ message, code }: McpError): string {
  return message.replace(`MCP error ${code}: `, '');
}
