import type { ClientCapabilities } from '@modelcontextprotocol/sdk/types.js';
import type { Question } from '../tasks/question.ts';

/** The requests by which a client is asked, in every revision that has them. */
export const METHODS = { input: 'elicitation/create', sample: 'sampling/createMessage' } as const;

/** Why the client cannot be asked this; undefined where it can (elicitation and sampling, "Capabilities"). */
export function incapable(
  { kind, params }: Question,
  capabilities: Pick<ClientCapabilities, 'elicitation' | 'sampling'> | undefined,
): string | undefined {
  const { elicitation, sampling } = capabilities ?? {};
  if (kind === 'sample') return sampling === undefined ? 'The client does not support sampling' : undefined;
  if (elicitation === undefined) return 'The client does not support elicitation: the user cannot be asked';
  const mode = params['mode'] === 'url' ? 'url' : 'form';
  // An empty object means forms.
  const supported = mode in elicitation || (mode === 'form' && !('url' in elicitation));
  return supported ? undefined : `The client does not support elicitation in ${mode} mode`;
}
