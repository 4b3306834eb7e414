import type { ClientCapabilities } from '@modelcontextprotocol/sdk/types.js';
import type { Observer } from '../tasks/observer.ts';
import type { Question } from '../tasks/question.ts';

type Capabilities = Pick<ClientCapabilities, 'elicitation' | 'sampling'>;

/** The requests by which a client is asked, in every revision that has them. */
export const METHODS = { input: 'elicitation/create', sample: 'sampling/createMessage' } as const;

/** Why the client cannot be asked this; undefined where it can (elicitation and sampling, "Capabilities"). */
export function incapable(
  { kind, params }: Question,
  capabilities: Capabilities | undefined,
): string | undefined {
  const { elicitation, sampling } = capabilities ?? {};
  if (kind === 'sample') return sampling === undefined ? 'The client does not support sampling' : undefined;
  if (elicitation === undefined) return 'The client does not support elicitation: the user cannot be asked';
  const mode = params['mode'] === 'url' ? 'url' : 'form';
  // An empty object means forms.
  const supported = mode in elicitation || (mode === 'form' && !('url' in elicitation));
  return supported ? undefined : `The client does not support elicitation in ${mode} mode`;
}

/** Follows tasks of a client that has to ask for what they ask, and answers what it cannot be asked. */
export function refusing(capabilities: Capabilities | undefined): Observer {
  return {
    refusal: (question) => incapable(question, capabilities),
    // It was asked before.
    asked: (pending) => {
      const message = incapable(pending.question, capabilities);
      if (message !== undefined) pending.answer({ type: 'error', message });
    },
  };
}
