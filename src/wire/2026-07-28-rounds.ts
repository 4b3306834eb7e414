import { createHash, randomBytes } from 'node:crypto';
import { createRequestStateCodec, type ServerContext } from '@modelcontextprotocol/server';
import { ErrorCode, ProtocolError } from '../errors.ts';
import type { Answer } from '../tasks/question.ts';

/** How long the answers to what was asked before a task, or in a plain call, may take. */
export const ROUND_MS = 3_600_000;

/**
 * What a client gives back when it makes a call anew with its answers (basic/patterns, "Multi Round-Trip
 * Requests"): what was answered so far in the preparation of a run, each by its answer or, until there is one, by
 * its key; which run it is that waits; or which task was checked and asks.
 */
export type RoundState = { readonly of: string } & (
  | { readonly step: 'prepare'; readonly answers: readonly (Answer | string)[] }
  | { readonly step: 'run'; readonly run: string }
  | { readonly step: 'check'; readonly taskId: string }
);

/** Signs states with a key of this process, and tells a call to which a state belongs from all others. */
export class RoundStates {
  readonly #codec = createRequestStateCodec<RoundState>({
    key: randomBytes(32),
    ttlSeconds: ROUND_MS / 1000,
  });

  readonly verify = (state: string, context: ServerContext): Promise<RoundState> =>
    this.#codec.verify(state, context);

  /** An `InputRequiredResult`. */
  async ask(
    state: RoundState,
    inputRequests: Readonly<Record<string, unknown>>,
  ): Promise<Record<string, unknown>> {
    return { resultType: 'input_required', inputRequests, requestState: await this.#codec.mint(state) };
  }

  /**
   * The state of an earlier round of this call.
   * @throws {ProtocolError} when it is of another call, or another caller's
   */
  check(state: RoundState | undefined, of: string): RoundState | undefined {
    if (state !== undefined && state.of !== of) throw invalidState();
    return state;
  }
}

/** What a call is called in a state: who made it, which tool, and what arguments. */
export function digest(owner: string, tool: string, args: Readonly<Record<string, unknown>>): string {
  const sorted = (_: string, value: unknown) =>
    typeof value === 'object' && value !== null && !Array.isArray(value)
      ? Object.fromEntries(Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1)))
      : value;
  return createHash('sha256')
    .update(JSON.stringify([owner, tool, args], sorted))
    .digest('base64url');
}

export function invalidState(): ProtocolError {
  return new ProtocolError(
    ErrorCode.invalidParams,
    'params.requestState: belongs to another call, or has expired; make the call anew without it',
  );
}

/**
 * The client's answers by the keys of what it was asked. What is no answer to an input request is left
 * out, so that it is asked for again.
 */
export function answersOf(responses: Readonly<Record<string, unknown>> | undefined): Map<string, Answer> {
  const answers = new Map<string, Answer>();
  for (const [key, response] of Object.entries(responses ?? {})) {
    if (isResponse(response)) answers.set(key, { type: 'answer', result: response });
  }
  return answers;
}

/** Puts the answers in the places of their keys. */
export function fillIn(
  entries: readonly (Answer | string)[],
  answers: ReadonlyMap<string, Answer>,
): (Answer | string)[] {
  return entries.map((entry) => (typeof entry === 'string' ? (answers.get(entry) ?? entry) : entry));
}

/** Whether it has the shape of an elicitation's result, or of a sampling's. */
function isResponse(value: unknown): value is Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
  const { action, role, content } = value as Record<string, unknown>;
  if (action !== undefined) return ['accept', 'decline', 'cancel'].includes(action as string);
  return typeof role === 'string' && content !== undefined;
}
