import type { Answer, NumberedQuestion, Question } from '../../tasks/question.ts';

/**
 * The questions of a tool's `prepare`, whose caller is not there to be asked: it calls anew when it has the
 * answers, and `prepare` runs from its beginning. The answers that there are come at once, in the order in which
 * they were asked for; a question that has none ends the rehearsal.
 */
export class Rehearsal {
  readonly #answers: readonly (Answer | undefined)[];
  #asked = 0;
  #open: NumberedQuestion[] = [];
  #end!: (questions: readonly NumberedQuestion[]) => void;
  /** Resolves with what was asked without an answer, all that was asked in one turn of the event loop. */
  readonly unanswered = new Promise<readonly NumberedQuestion[]>((resolve) => (this.#end = resolve));

  constructor(answers: readonly (Answer | undefined)[]) {
    this.#answers = answers;
  }

  /** @param reply is not called where there is no answer */
  ask(question: Question, reply: (answer: Answer) => void): void {
    const number = ++this.#asked;
    const answer = this.#answers[number - 1];
    if (answer !== undefined) return reply(answer);
    if (this.#open.length === 0) setImmediate(() => this.#end(this.#open));
    this.#open.push({ number, question });
  }
}
