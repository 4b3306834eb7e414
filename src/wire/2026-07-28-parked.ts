import { randomUUID } from 'node:crypto';
import type { ClientCapabilities } from '@modelcontextprotocol/server';
import type { Engine } from '../tasks/engine.ts';
import type { RunObserver, TaskView } from '../tasks/observer.ts';
import type { Answer, PendingQuestion } from '../tasks/question.ts';
import type { NewTask, TerminalTask } from '../tasks/task.ts';
import { Refusals } from './2026-07-28-refusals.ts';
import { ROUND_MS } from './2026-07-28-rounds.ts';

/** What came of a plain call so far: its end, or what it asks. */
type Stop = { readonly task: TerminalTask } | { readonly questions: readonly PendingQuestion[] };

/** The request on whose stream a call reports, and whose end ends it. */
export interface Request {
  readonly signal: AbortSignal;
  readonly capabilities: ClientCapabilities | undefined;
  /** Where progress and log messages go. */
  readonly observer: RunObserver;
  /** The same, of a run of this tool. */
  readonly observerOf: (tool: string) => RunObserver;
}

/** Plain calls whose tool waits for answers, between the request that was told so and the one that brings them. */
export class ParkedCalls {
  readonly #service: { readonly engine: Engine };
  readonly #calls = new Map<string, ParkedCall>();

  /** @param service has its engine when there is a call: the first answers come before */
  constructor(service: { readonly engine: Engine }) {
    this.#service = service;
  }

  start(wanted: NewTask, request: Request): ParkedCall {
    const call = new ParkedCall(this.#service.engine, wanted, request, () => this.#calls.delete(call.id));
    this.#calls.set(call.id, call);
    return call;
  }

  get(id: string): ParkedCall | undefined {
    return this.#calls.get(id);
  }
}

/** A plain call over several requests: one at a time waits for its end, or for what it asks next. */
export class ParkedCall {
  readonly id = randomUUID();
  readonly refusals = new Refusals();
  readonly #stop = new AbortController();
  readonly #ended: Promise<TerminalTask>;
  #request: Request | undefined;
  #capabilities: ClientCapabilities | undefined;
  #questions: PendingQuestion[] = [];
  #isOver = false;
  #view: (() => TaskView) | undefined;
  #wake: () => void = () => {};
  #expiry: NodeJS.Timeout | undefined;

  constructor(engine: Engine, wanted: NewTask, request: Request, over: () => void) {
    this.#request = request;
    this.#capabilities = request.capabilities;
    const observer: RunObserver = {
      attached: (view) => {
        this.#view = view;
      },
      progress: (progress) => this.#request?.observer.progress?.(progress),
      log: (entries) => this.#request?.observer.log?.(entries),
      asked: (pending) => this.#asked(pending),
    };
    this.#ended = engine.call(wanted, observer, this.#stop.signal).finally(() => {
      this.#isOver = true;
      clearTimeout(this.#expiry);
      over();
      this.#wake();
    });
    // Between two requests nobody waits for it.
    this.#ended.catch(() => {});
  }

  answer(answers: ReadonlyMap<string, Answer>): void {
    const answered = this.#questions.filter(({ key }) => answers.has(key));
    this.#questions = this.#questions.filter((question) => !answered.includes(question));
    for (const question of answered) question.answer(answers.get(question.key)!);
  }

  /**
   * Resolves when the call has ended or asks something, all that it asks at once. The end of the request
   * before that ends the call.
   * @throws what the engine throws at a call
   */
  async next(request: Request): Promise<Stop> {
    const { signal } = request;
    const abort = () => this.#stop.abort(signal.reason);
    if (signal.aborted) abort();
    signal.addEventListener('abort', abort, { once: true });
    clearTimeout(this.#expiry);
    this.#request = request;
    this.#capabilities = request.capabilities;
    if (this.#view !== undefined) request.observer.attached?.(this.#view);
    try {
      while (!this.#isOver && this.#questions.length === 0) {
        await new Promise<void>((resolve) => (this.#wake = resolve));
      }
      if (this.#isOver) return { task: await this.#ended };
      this.#expiry = setTimeout(() => this.#stop.abort(), ROUND_MS);
      return { questions: this.#questions };
    } finally {
      this.#request = undefined;
      signal.removeEventListener('abort', abort);
    }
  }

  #asked(pending: PendingQuestion): void {
    const refusal = this.refusals.answer(pending.question, this.#capabilities);
    if (refusal !== undefined) return pending.answer(refusal);
    this.#questions.push(pending);
    setImmediate(() => this.#wake());
  }
}
