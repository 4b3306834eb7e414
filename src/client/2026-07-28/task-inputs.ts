import { EmptyResultSchema } from '@modelcontextprotocol/sdk/types.js';
import { sleep, unlessAborted } from '../abort.ts';
import type { AnswerOptions } from '../answers.ts';
import { InvalidAnswerError, TaskError, isPassing } from '../errors.ts';
import { QUICK_MS } from '../limits.ts';
import { isTerminal } from '../snapshot.ts';
import type { Connection } from './connection.ts';
import { answerQuestion, type Reply } from './questions.ts';
import type { DetailedTask, InputRequests } from './schemas.ts';

/** Updates lost in a row before they are given up. */
const MAX_LOST = 8;
const PAUSE_MS = 500;
const MAX_PAUSE_MS = 30_000;
/** How long a question that this client has declared no handler for may stay, before its result is given up. */
const UNDECLARED_MS = 1000;
/** How many tasks are known to have ended: an answer from before may come after, and asks nothing any more. */
const MAX_ENDED = 1000;

/** What is known of one task's questions. */
interface Asked {
  /** Every key so far, with what takes its question back, until there is an answer. */
  readonly keys: Map<string, AbortController | undefined>;
  /** The task's `lastUpdatedAt` when the server said it. */
  at: number;
  /** Why the task gets no answer from here. */
  failure: Error | undefined;
}

/**
 * Answers what tasks ask (ext-tasks, "Task Update Requests"), each question once, however often and to
 * whichever handle the server says it.
 *
 * There is no error among the answers. Where `onElicit` throws, the answer is `cancel`: the user made no
 * choice. What else there is no answer to stays open, because another client may have one, and whoever
 * awaits the result is told.
 */
export class TaskInputs {
  readonly #connection: Connection;
  readonly #options: AnswerOptions;
  readonly #onAnswered: (taskId: string) => void;
  readonly #stillAsks: (taskId: string, keys: readonly string[]) => Promise<boolean>;
  readonly #tasks = new Map<string, Asked>();
  /** The last of those that have ended, the oldest first. */
  readonly #ended = new Set<string>();
  readonly #onFailure = new Map<string, Set<(error: Error) => void>>();
  readonly #closed = new AbortController();

  /**
   * @param onAnswered learns that the server has the answers: the task may go on
   * @param stillAsks whether the server has a question for any of these keys
   */
  constructor(
    connection: Connection,
    options: AnswerOptions,
    onAnswered: (taskId: string) => void,
    stillAsks: (taskId: string, keys: readonly string[]) => Promise<boolean>,
  ) {
    this.#connection = connection;
    this.#options = options;
    this.#onAnswered = onAnswered;
    this.#stillAsks = stillAsks;
    connection.ending.on((error) => {
      this.#closed.abort(error);
      for (const { keys } of this.#tasks.values()) takeBack(keys.values(), error);
    });
  }

  /** Takes what the server said of a task. */
  observe(task: DetailedTask): void {
    const { taskId, status } = task;
    if (this.#ended.has(taskId)) return;
    const at = Date.parse(task.lastUpdatedAt);
    const known = this.#tasks.get(taskId);
    if (status === 'input_required') {
      const asked = known ?? { keys: new Map(), at, failure: undefined };
      this.#tasks.set(taskId, asked);
      this.#ask(taskId, asked, at, task.inputRequests);
      return;
    }
    if (isTerminal(status)) this.#end(taskId);
    if (known === undefined || !(isTerminal(status) || at > known.at)) return;
    // It has the answers, or wants none any more.
    takeBack(known.keys.values(), new Error('The task has no question any more'));
    known.failure = undefined;
  }

  /** Whether a question of the task got no answer, as far as is known. */
  hasFailed(taskId: string): boolean {
    return this.#tasks.get(taskId)?.failure !== undefined;
  }

  /** Calls when a question of the task gets no answer; returns what takes the call off. */
  onFailure(taskId: string, fn: (error: Error) => void): () => void {
    const failure = this.#tasks.get(taskId)?.failure;
    if (failure !== undefined) fn(failure);
    const waiting = this.#onFailure.get(taskId) ?? new Set();
    this.#onFailure.set(taskId, waiting.add(fn));
    return () => {
      waiting.delete(fn);
      if (waiting.size === 0 && this.#onFailure.get(taskId) === waiting) this.#onFailure.delete(taskId);
    };
  }

  #end(taskId: string): void {
    this.#tasks.delete(taskId);
    this.#ended.add(taskId);
    const [oldest] = this.#ended;
    if (this.#ended.size > MAX_ENDED) this.#ended.delete(oldest!);
  }

  #ask(taskId: string, asked: Asked, at: number, questions: InputRequests): void {
    // Answers and notifications may overtake each other.
    if (at < asked.at) return;
    asked.at = at;
    const gone = [...asked.keys].filter(([key]) => !Object.hasOwn(questions, key));
    takeBack(
      gone.map(([, stop]) => stop),
      new Error('The server has taken the question back'),
    );
    const news = Object.entries(questions).filter(([key]) => !asked.keys.has(key));
    if (news.length > 0) void this.#answer(taskId, asked, Object.fromEntries(news));
  }

  /** Answers in one go, which every server takes; of several it need not take a part ("Response"). */
  async #answer(taskId: string, asked: Asked, questions: InputRequests): Promise<void> {
    const replies = await Promise.all(
      Object.entries(questions).map(async ([key, question]) => {
        const stop = new AbortController();
        asked.keys.set(key, stop);
        const reply = await this.#reply(taskId, asked, question, stop.signal);
        if (reply !== 'undeclared') asked.keys.set(key, undefined);
        return typeof reply === 'object' ? ([key, reply] as const) : undefined;
      }),
    );
    const answers = replies.filter((reply) => reply !== undefined);
    if (answers.length === 0) return;
    try {
      await this.#update(taskId, Object.fromEntries(answers));
      this.#onAnswered(taskId);
    } catch (error) {
      if (!this.#closed.signal.aborted) this.#fail(taskId, asked, error as Error);
    }
  }

  /** The handler's answer; undefined where it has none, or the server has taken the question back. */
  async #reply(
    taskId: string,
    asked: Asked,
    question: InputRequests[string],
    signal: AbortSignal,
  ): Promise<Reply | 'undeclared' | undefined> {
    try {
      return await unlessAborted(answerQuestion(question, this.#options, { signal, taskId }), signal);
    } catch (error) {
      if (signal.aborted) return undefined;
      if (error instanceof InvalidAnswerError) {
        // A server that sees so, too, answers it by itself.
        sleep(UNDECLARED_MS, signal).then(
          () => this.#fail(taskId, asked, error),
          () => {},
        );
        return 'undeclared';
      }
      this.#connection.fail(error as Error);
      if (question.method === 'elicitation/create') return { action: 'cancel' };
      this.#fail(taskId, asked, error as Error);
      return undefined;
    }
  }

  #fail(taskId: string, asked: Asked, error: Error): void {
    asked.failure = error;
    for (const fn of [...(this.#onFailure.get(taskId) ?? [])]) fn(error);
  }

  async #update(taskId: string, inputResponses: Record<string, Reply>): Promise<void> {
    for (let lost = 0; ;) {
      try {
        const params = { taskId, inputResponses };
        await this.#connection.request('tasks/update', params, EmptyResultSchema.loose(), {
          timeoutMs: QUICK_MS,
        });
        return;
      } catch (error) {
        if (error instanceof TaskError) {
          // The task may have ended meanwhile, or somebody else has answered.
          if (await this.#stillAsks(taskId, Object.keys(inputResponses))) throw error;
          return;
        }
        if (!isPassing(error) || ++lost > MAX_LOST) throw error;
        await sleep(Math.min(PAUSE_MS * 2 ** lost, MAX_PAUSE_MS), this.#closed.signal);
      }
    }
  }
}

function takeBack(questions: Iterable<AbortController | undefined>, reason: Error): void {
  for (const stop of questions) stop?.abort(reason);
}
