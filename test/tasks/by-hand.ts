import { expect } from 'vitest';
import { MemoryStore } from '../../src/stores/memory.ts';
import type { Observer, TaskView } from '../../src/tasks/observer.ts';
import type { Attempt, Repeatable, Run, RunHooks, Runner } from '../../src/tasks/runner.ts';
import type { Page, Purged, TaskStore } from '../../src/tasks/store.ts';
import type { Call, Lane, Outcome, Task, TaskState } from '../../src/tasks/task.ts';

const MOST_PLACES = 4;
export const TERMINAL: readonly string[] = ['completed', 'failed', 'cancelled'];

export const NEXT: Readonly<Record<string, readonly string[]>> = {
  queued: ['running', 'failed', 'cancelled'],
  running: ['queued', ...TERMINAL],
};

interface StartedRun {
  readonly call: Call;
  readonly hooks: RunHooks;
  stopped: boolean;
  hasFinished: boolean;
}

/** Starts what it is given, and ends nothing by itself. */
export class HandRunner implements Runner {
  onRoom: (lane: Lane) => void = () => {};
  refused = false;
  readonly places: Record<Lane, number> = { cpu: 0, io: 0 };
  /** Those that hold a place, and those that have ended. */
  running: StartedRun[] = [];
  readonly ended: StartedRun[] = [];

  refusal(): string | undefined {
    return this.refused ? 'not now' : undefined;
  }

  room(lane: Lane): number {
    return this.places[lane] - this.running.filter(({ call }) => call.lane === lane).length;
  }

  start(_taskId: string, call: Call, _attempt: Attempt, hooks: RunHooks): Run {
    expect(this.room(call.lane)).toBeGreaterThan(0);
    const run: StartedRun = { call, hooks, stopped: false, hasFinished: false };
    this.running.push(run);
    return { thread: 1, stop: () => void (run.stopped = true) };
  }

  /** @param lingers whether it still holds its place, until it is told to leave */
  finish(run: StartedRun, outcome: Outcome, how?: Repeatable, lingers = false): void {
    if (!run.hasFinished) run.hooks.finished(outcome, how);
    run.hasFinished = true;
    if (lingers) return;
    this.running = this.running.filter((other) => other !== run);
    this.ended.push(run);
    run.hooks.left();
    this.onRoom(run.call.lane);
  }

  open(lane: Lane): void {
    if (this.places[lane] === MOST_PLACES) return;
    this.places[lane]++;
    this.onRoom(lane);
  }

  lose(lane: Lane): void {
    if (this.room(lane) > 0) this.places[lane]--;
  }

  async close(): Promise<void> {}
}

/** Does each operation when it is told to, or fails it; and knows what it has been given to keep. */
export class HandStore implements TaskStore {
  readonly #inner = new MemoryStore();
  readonly clock = this.#inner.clock;
  readonly kept = new Map<string, TaskState[]>();
  slow = true;
  #waiting: ((fails: boolean) => void)[] = [];

  get waits(): boolean {
    return this.#waiting.length > 0;
  }

  /** Lets one operation happen, or fail. */
  go(pick: number, fails: boolean): void {
    const [go] = this.#waiting.splice(pick % Math.max(this.#waiting.length, 1), 1);
    go?.(fails);
  }

  async create(task: Task): Promise<void> {
    await this.#turn();
    await this.#inner.create(task);
    this.kept.set(task.taskId, [task.state]);
  }

  async replace(from: TaskState, task: Task): Promise<boolean> {
    await this.#turn();
    const isReplaced = await this.#inner.replace(from, task);
    const states = this.kept.get(task.taskId)!;
    if (isReplaced && states.at(-1) !== task.state) states.push(task.state);
    return isReplaced;
  }

  async get(taskId: string): Promise<Task | undefined> {
    await this.#turn();
    return this.#inner.get(taskId);
  }

  async findByKey(owner: string, key: string): Promise<Task | undefined> {
    await this.#turn();
    return this.#inner.findByKey(owner, key);
  }

  list(owner: string, cursor: string | undefined, limit: number): Promise<Page> {
    return this.#inner.list(owner, cursor, limit);
  }

  async purge(now: number): Promise<readonly Purged[]> {
    await this.#turn();
    return this.#inner.purge(now);
  }

  nextExpiry(): Promise<number | undefined> {
    return this.#inner.nextExpiry();
  }

  size(): Promise<number> {
    return this.#inner.size();
  }

  close(): Promise<void> {
    return this.#inner.close();
  }

  async #turn(): Promise<void> {
    if (!this.slow) return;
    const fails = await new Promise<boolean>((resolve) => this.#waiting.push(resolve));
    if (fails) throw new Error('the disk is full');
  }
}

/** Keeps what it is told of a task, and what it should not have been told. */
export class Witness implements Observer {
  readonly states: string[] = [];
  readonly faults: string[] = [];
  isGone = false;

  status({ task }: TaskView): void {
    this.#hears(task.state);
    const last = this.states.at(-1);
    if (last !== undefined && !NEXT[last]?.includes(task.state)) this.faults.push(`${last} -> ${task.state}`);
    if ((task.outcome !== undefined) !== TERMINAL.includes(task.state))
      this.faults.push(`${task.state} with the outcome ${String(task.outcome?.type)}`);
    this.states.push(task.state);
  }

  progress(): void {
    this.#hears('progress');
  }

  gone(): void {
    this.#hears('that it is gone');
    this.isGone = true;
  }

  get hasSeenTheEnd(): boolean {
    return this.isGone || TERMINAL.includes(this.states.at(-1) ?? '');
  }

  #hears(what: string): void {
    if (this.hasSeenTheEnd) this.faults.push(`${what}, after the end`);
  }
}
