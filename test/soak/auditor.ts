import type { Answer, Fields } from './front.ts';

const WINDOW_MS = 61_000;
/** As many crashes make the server refuse the tools that ran. */
const MANY_CRASHES = 5;
const MOST_TOLD = 20;
const TERMINAL: readonly unknown[] = ['completed', 'failed', 'cancelled'];

/** What the death of the tools' process, or of the wrong thread for want of memory, says of those that it took along. */
const COLLATERAL = /did not finish: (the tools' process|out of memory)/;
const REFUSED = /is not run for another \d+ s: the tools' process crashed/;

export function isTerminal(status: unknown): boolean {
  return TERMINAL.includes(status);
}

/** Keeps account of every task, and finds what must not be. */
export class Auditor {
  readonly violations: string[] = [];
  readonly pings: number[] = [];
  /** What was done, and how often. */
  readonly acts = new Map<string, number>();
  tasks = 0;
  plainCalls = 0;
  expired = 0;
  /** Tasks that failed because of another one. */
  collateral = 0;
  refused = 0;
  crashes = 0;
  /** Tasks that were acknowledged, and the ends that were told of each. */
  readonly #open = new Map<string, string>();
  readonly #ends = new Map<string, string>();
  readonly #crashedAt: number[] = [];
  readonly #progress = new Map<string, () => void>();

  violated(what: string): void {
    this.violations.push(what);
    if (this.violations.length <= MOST_TOLD) console.error(`VIOLATION: ${what}`);
  }

  did(what: string): void {
    this.acts.set(what, (this.acts.get(what) ?? 0) + 1);
  }

  notified(method: string, params: Fields): void {
    if (method === 'notifications/progress') this.#progress.get(params.progressToken!)?.();
    if (method !== 'notifications/tasks/status') return;
    const { taskId = '', status = '' } = params;
    const end = this.#ends.get(taskId);
    if (end !== undefined) this.violated(`task ${taskId} was ${end}, and then ${status}`);
    else if (isTerminal(status)) this.#ends.set(taskId, status);
  }

  said(line: string): void {
    if (!line.includes('"the executor ended"')) return;
    this.crashes++;
    this.#crashedAt.push(performance.now());
  }

  /** Resolves with the first progress that has this token. */
  progressOf(token: string): Promise<void> {
    return new Promise((resolve) => {
      this.#progress.set(token, () => {
        this.#progress.delete(token);
        resolve();
      });
    });
  }

  acknowledged(taskId: string, tool: string): void {
    this.tasks++;
    if (this.#open.has(taskId)) this.violated(`task ${taskId} was created twice`);
    this.#open.set(taskId, tool);
  }

  /** The end that was told of a task. */
  endOf(taskId: string): string | undefined {
    return this.#ends.get(taskId);
  }

  /** What the server says of a task that has ended is what it said before. */
  agrees(taskId: string, { result, error }: Answer): void {
    const end = this.#ends.get(taskId);
    if (result?.status !== end || end === undefined)
      this.violated(`task ${taskId} was told to be ${end}, and is ${result?.status ?? error?.message}`);
    this.#open.delete(taskId);
  }

  /** A task is known no more. */
  isGone(taskId: string): void {
    this.expired++;
    this.#open.delete(taskId);
  }

  /** Whether a failure is another task's doing, and legal. */
  excuses(answer: Answer): boolean {
    const message = answer.error?.message ?? '';
    if (REFUSED.test(message)) {
      const since = performance.now() - WINDOW_MS;
      if (this.#crashedAt.filter((at) => at > since).length < MANY_CRASHES) return false;
      this.refused++;
      return true;
    }
    if (!COLLATERAL.test(message)) return false;
    this.collateral++;
    return true;
  }

  /** Checks what was to come of something. */
  expects(what: string, answer: Answer, isRight: boolean): void {
    if (!isRight && !this.excuses(answer))
      this.violated(`${what}: ${JSON.stringify(answer.result ?? answer.error).slice(0, 300)}`);
  }

  /** Tasks of which no end is known. */
  get lost(): string[] {
    return [...this.#open].map(
      ([taskId, tool]) => `${tool} ${taskId}: ${this.#ends.get(taskId) ?? 'no end'}`,
    );
  }
}
