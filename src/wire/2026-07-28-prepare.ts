import type { Engine } from '../tasks/engine.ts';
import { keyOf, type Answer, type NumberedQuestion } from '../tasks/question.ts';
import type { Call, Preparation, TerminalTask } from '../tasks/task.ts';
import type { Request } from './2026-07-28-parked.ts';
import { Refusals } from './2026-07-28-refusals.ts';

/** More than anybody is asked before a task: a `prepare` that asks in a loop comes to an end. */
const MOST_QUESTIONS = 100;
const TOO_MANY: Answer = {
  type: 'error',
  message: `A tool may ask ${MOST_QUESTIONS} questions before it runs`,
};

/** An answer, or the key of the question that has none. */
export type Entry = Answer | string;

export interface Preparing {
  readonly owner: string;
  readonly call: Call;
  /** Of the rounds before. */
  readonly entries: readonly Entry[];
  /** By the keys of the questions. A client that knows them need not be asked first. */
  readonly given: ReadonlyMap<string, Answer>;
}

type Prepared =
  | { readonly type: 'prepared'; readonly value: unknown }
  | { readonly type: 'asks'; readonly entries: readonly Entry[]; readonly questions: NumberedQuestion[] }
  /** It has ended otherwise: by an error, a timeout, … */
  | { readonly type: 'ended'; readonly task: TerminalTask };

/**
 * Does what comes before a run as far as it goes with the answers that there are. What the client cannot be
 * asked is answered with that, and the tool may do without.
 * @throws {MissingRequiredClientCapabilityError} where the tool does not do without
 */
export async function prepare(
  engine: Engine,
  { owner, call, entries, given }: Preparing,
  { signal, capabilities, observer }: Request,
): Promise<Prepared> {
  const all = [...entries];
  const refusals = new Refusals();
  for (;;) {
    const answers = all.map((entry) => (typeof entry === 'string' ? undefined : entry));
    const task = await engine.call({ owner, call: { ...call, prepare: { answers } } }, observer, signal);
    const { outcome } = task;
    refusals.check(outcome);
    if (outcome.type !== 'result' || outcome.isError) return { type: 'ended', task };
    const preparation = outcome.result as unknown as Preparation;
    if (preparation.type === 'prepared') return { type: 'prepared', value: preparation.value };
    const questions: NumberedQuestion[] = [];
    for (const asked of preparation.questions) {
      const { number, question } = asked;
      const tooMany = number > MOST_QUESTIONS ? TOO_MANY : undefined;
      const answer = tooMany ?? refusals.answer(question, capabilities) ?? given.get(keyOf(asked));
      if (answer === undefined) questions.push(asked);
      all[number - 1] = answer ?? keyOf(asked);
    }
    if (questions.length > 0) return { type: 'asks', entries: all, questions };
  }
}
