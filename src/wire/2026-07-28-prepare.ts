import type { ClientCapabilities } from '@modelcontextprotocol/server';
import type { Engine } from '../tasks/engine.ts';
import { keyOf, type Answer, type NumberedQuestion } from '../tasks/question.ts';
import type { Call, Preparation, TerminalTask } from '../tasks/task.ts';
import type { Request } from './2026-07-28-parked.ts';
import { incapable } from './questions.ts';

/** More than anybody is asked before a task: a `prepare` that asks in a loop comes to an end. */
const MOST_QUESTIONS = 100;

/** An answer, or the key of the question that has none. */
export type Entry = Answer | string;

type Prepared =
  | { readonly type: 'prepared'; readonly value: unknown }
  | { readonly type: 'asks'; readonly entries: readonly Entry[]; readonly questions: NumberedQuestion[] }
  /** It has ended otherwise: by an error, a timeout, … */
  | { readonly type: 'ended'; readonly task: TerminalTask };

/**
 * Does what comes before a run as far as it goes with the answers that there are. What the client cannot be
 * asked is answered with that, and the tool may do without.
 */
export async function prepare(
  engine: Engine,
  { owner, call, entries }: { owner: string; call: Call; entries: readonly Entry[] },
  { signal, capabilities, observer }: Request,
): Promise<Prepared> {
  const all = [...entries];
  for (;;) {
    const answers = all.map((entry) => (typeof entry === 'string' ? undefined : entry));
    const task = await engine.call({ owner, call: { ...call, prepare: { answers } } }, observer, signal);
    const { outcome } = task;
    if (outcome.type !== 'result' || outcome.isError) return { type: 'ended', task };
    const preparation = outcome.result as unknown as Preparation;
    if (preparation.type === 'prepared') return { type: 'prepared', value: preparation.value };
    const questions: NumberedQuestion[] = [];
    for (const asked of preparation.questions) {
      const problem = problemOf(asked, capabilities);
      if (problem === undefined) questions.push(asked);
      all[asked.number - 1] = problem === undefined ? keyOf(asked) : { type: 'error', message: problem };
    }
    if (questions.length > 0) return { type: 'asks', entries: all, questions };
  }
}

function problemOf(
  { number, question }: NumberedQuestion,
  capabilities: ClientCapabilities | undefined,
): string | undefined {
  if (number > MOST_QUESTIONS) return `A tool may ask ${MOST_QUESTIONS} questions before it runs`;
  return incapable(question, capabilities);
}
