import { MissingRequiredClientCapabilityError, type ClientCapabilities } from '@modelcontextprotocol/server';
import type { Answer, Question } from '../tasks/question.ts';
import { ending, type Outcome } from '../tasks/task.ts';
import { incapable } from './questions.ts';

/**
 * What a call wanted to ask and its client cannot be asked. A tool may do without; where it does not, the client
 * is to be told what it would have to declare (basic, "Missing Required Client Capability").
 */
export class Refusals {
  /** By the message that the tool got. */
  readonly #required = new Map<string, ClientCapabilities>();

  /** The answer to a question that the client cannot be asked; undefined where it can. */
  answer(question: Question, capabilities: ClientCapabilities | undefined): Answer | undefined {
    const message = incapable(question, capabilities);
    if (message === undefined) return undefined;
    this.#required.set(message, requiredFor(question));
    return { type: 'error', message };
  }

  /** @throws {MissingRequiredClientCapabilityError} (-32021) where it is for a refusal that the call has failed */
  check(outcome: Outcome): void {
    const { state, statusMessage = '' } = ending(outcome);
    const requiredCapabilities = this.#required.get(statusMessage);
    if (state !== 'failed' || requiredCapabilities === undefined) return;
    throw new MissingRequiredClientCapabilityError({ requiredCapabilities }, statusMessage);
  }
}

function requiredFor({ kind, params }: Question): ClientCapabilities {
  if (kind === 'sample') return { sampling: {} };
  return { elicitation: params['mode'] === 'url' ? { url: {} } : { form: {} } };
}
