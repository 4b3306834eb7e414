import { setTimeout as sleep } from 'node:timers/promises';
import { isTerminal, type Auditor } from './auditor.ts';
import type { Answer, Front } from './front.ts';

/** Tasks live as long as this: what the server keeps of them must not grow. */
const TTL_MS = 30_000;
/** When a task is asked for once more. */
const AGAIN_MS = 4000;
const AGAIN_ONE_IN = 5;
const MOST_MISSES = 40;
const MINUTE_MS = 60_000;

export interface PlayedTask {
  readonly taskId: string;
  /** Resolves when it has reported. */
  readonly begun: Promise<void>;
  result(): Promise<Answer>;
  /** Asks for the result, and then wants it no more. */
  dropResult(): void;
  cancel(): Promise<Answer>;
  get(): Promise<Answer>;
  /** Waits for its end, which is the same for everyone who asks, and gives it. */
  ended(): Promise<string | undefined>;
}

/** Where acts are played: the server, and the auditor who learns of every task. */
export class Stage {
  readonly front: Front;
  readonly auditor: Auditor;
  /** What is looked at again, later. */
  readonly later = new Set<Promise<void>>();
  #lastToken = 0;
  #misses: number[] = [];

  constructor(front: Front, auditor: Auditor) {
    this.front = front;
    this.auditor = auditor;
  }

  call(name: string, args: object): { answer: Promise<Answer>; drop: () => void } {
    this.auditor.plainCalls++;
    return this.front.open('tools/call', { name, arguments: args });
  }

  /** Starts a task; undefined where the server may refuse to. */
  async create(name: string, args: object, ttl = TTL_MS): Promise<PlayedTask | undefined> {
    const { front, auditor } = this;
    const progressToken = `p${++this.#lastToken}`;
    const begun = auditor.progressOf(progressToken);
    const params = { name, arguments: args, task: { ttl }, _meta: { progressToken } };
    const answer = await front.request('tools/call', params);
    const taskId = answer.result?.task?.taskId;
    if (taskId === undefined) {
      auditor.expects(`${name} was not created`, answer, false);
      return undefined;
    }
    auditor.acknowledged(taskId, name);
    return {
      taskId,
      begun,
      result: () => front.request('tasks/result', { taskId }),
      dropResult: () => front.open('tasks/result', { taskId }).drop(),
      cancel: () => front.request('tasks/cancel', { taskId }),
      get: () => front.request('tasks/get', { taskId }),
      ended: () => this.#ended(taskId),
    };
  }

  /** Whether one more unknown task may be asked for. */
  mayMiss(): boolean {
    const now = performance.now();
    this.#misses = this.#misses.filter((at) => at > now - MINUTE_MS);
    return this.#misses.length < MOST_MISSES && this.#misses.push(now) > 0;
  }

  async #ended(taskId: string): Promise<string | undefined> {
    const { front, auditor } = this;
    const look = () => front.request('tasks/get', { taskId });
    const until = performance.now() + TTL_MS / 2;
    let answer = await look();
    while (!isTerminal(answer.result?.status) && answer.error === undefined && performance.now() < until) {
      await sleep(20);
      answer = await look();
    }
    auditor.agrees(taskId, answer);
    if (this.#lastToken % AGAIN_ONE_IN === 0) {
      const again = sleep(AGAIN_MS)
        .then(look)
        .then((answer) => auditor.agrees(taskId, answer))
        .finally(() => this.later.delete(again));
      this.later.add(again);
    }
    return answer.result?.status;
  }
}
