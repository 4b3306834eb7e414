/** What a run asks its caller. The engine passes it on unread. */
export interface Question {
  readonly kind: 'input' | 'sample';
  readonly params: Readonly<Record<string, unknown>>;
  /** What the run calls it, and no other of its questions. */
  readonly key?: string;
}

/** One of a run's questions, which are counted from 1. */
export interface NumberedQuestion {
  readonly number: number;
  readonly question: Question;
}

/** What a question is called; no other of its run is called so. */
export function keyOf({ number, question }: NumberedQuestion): string {
  return question.key ?? `${question.kind}-${number}`;
}

export type Answer =
  | { readonly type: 'answer'; readonly result: Readonly<Record<string, unknown>> }
  | { readonly type: 'error'; readonly message: string };

/**
 * A question until it is answered. Many may see it, and one at a time puts it to the caller:
 *
 *     open <──> taken ──> over
 *       └─────────────────^
 */
export class PendingQuestion {
  /** Tells it from all other questions of its run. */
  readonly key: string;
  readonly question: Question;
  readonly #settle: (answer: Answer) => void;
  readonly #reopened: () => void;
  #taker: AbortController | undefined;
  #isOver = false;

  /**
   * @param settle   is called with the answer, once
   * @param reopened is called when it is open again
   */
  constructor(key: string, question: Question, settle: (answer: Answer) => void, reopened: () => void) {
    this.key = key;
    this.question = question;
    this.#settle = settle;
    this.#reopened = reopened;
  }

  get isOpen(): boolean {
    return !this.#isOver && this.#taker === undefined;
  }

  /**
   * Takes it upon oneself to put it, in place of who has taken it before.
   * @returns a signal that is aborted when it is over, or another has taken it; undefined where it is over
   */
  take(): AbortSignal | undefined {
    if (this.#isOver) return undefined;
    this.#taker?.abort();
    this.#taker = new AbortController();
    return this.#taker.signal;
  }

  /** Gives it back unanswered; by the signal it is seen whether it is still one's own. */
  release(taken: AbortSignal): void {
    if (this.#isOver || this.#taker?.signal !== taken) return;
    this.#taker = undefined;
    this.#reopened();
  }

  /** @param taken the signal of who has put it, where that is who has the answer: there is nothing to take back */
  answer(answer: Answer, taken?: AbortSignal): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#settle(answer);
    if (taken === undefined || this.#taker?.signal !== taken) this.#taker?.abort();
  }

  /** Nobody wants to know any more. */
  withdraw(): void {
    this.#isOver = true;
    this.#taker?.abort();
  }
}
