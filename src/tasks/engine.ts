import { ErrorCode, ProtocolError, RefusedError, TaskEndedError, UnknownTaskError } from '../errors.ts';
import { askCaller } from './ask-caller.ts';
import { Admission, type Limits } from './admission.ts';
import { isVisible, newLive, observe, unobserve, untilEnded, viewOf, type Live } from './live.ts';
import type { Log } from './log.ts';
import type { Observer, RunObserver, TaskView } from './observer.ts';
import type { Answer } from './question.ts';
import type { Runner } from './runner.ts';
import { Once } from './once.ts';
import { Scheduler } from './scheduler.ts';
import type { Purged, TaskStore } from './store.ts';
import { Sweeper } from './sweeper.ts';
import {
  ending,
  isTerminal,
  newTask,
  transition,
  type Lane,
  type NewTask,
  type Outcome,
  type Task,
  type TaskState,
  type TerminalTask,
} from './task.ts';

export interface EngineOptions extends Limits {
  readonly store: TaskStore;
  readonly runner: Runner;
  readonly log: Log;
  readonly defaultTtlMs: number;
  readonly maxTtlMs: number;
  readonly pollIntervalMs: number;
}

/**
 * Creates tasks, starts them when there is room, and ends each exactly once. The only writer of task
 * states: whatever races, the first transition to a terminal state wins and the others find it ended.
 */
export class Engine {
  readonly #options: EngineOptions;
  readonly #scheduler = new Scheduler();
  readonly #live = new Map<string, Live>();
  readonly #admission: Admission;
  readonly #once = new Once();
  readonly #sweeper: Sweeper;
  #closing = false;
  /** Called when the last live task has gone. */
  #drained: () => void = () => {};

  constructor(options: EngineOptions) {
    this.#options = options;
    this.#admission = new Admission(options, options.log);
    this.#sweeper = new Sweeper(options.store, options.log, (purged) => this.#expire(purged));
    options.runner.onRoom = (lane) => this.#dispatch(lane);
  }

  /**
   * Creates a task, or gives the one that has the same idempotency key. It is returned once the store has it;
   * it may be running by then, and in the second case have ended.
   * @param observer follows it from its creation, or from now
   * @throws {RefusedError} when too many wait, or the engine is closing
   * @throws {KeyReusedError} when the key was used for another call
   */
  async create(wanted: NewTask, observer?: Observer): Promise<TaskView> {
    const { owner, call, idempotencyKey: key } = wanted;
    if (key === undefined) return this.#create(wanted, observer);
    const find = async () => {
      const task = await this.#options.store.findByKey(owner, key);
      return task !== undefined && task.expiresAt > this.#now() ? task : undefined;
    };
    const create = async () => (await this.#create(wanted, observer)).task;
    const { task, isNew } = await this.#once.task(owner, key, call, find, create);
    const live = this.#live.get(task.taskId);
    if (live === undefined) return { task };
    if (!isNew && observer !== undefined) observe(live, observer);
    return this.#view(live);
  }

  async #create(wanted: NewTask, observer?: Observer): Promise<TaskView> {
    const ttlMs = Math.min(wanted.ttlMs ?? this.#options.defaultTtlMs, this.#options.maxTtlMs);
    const live = this.#admit(wanted, ttlMs, true);
    const { task } = live;
    if (observer !== undefined) live.observers = [observer];
    try {
      live.writes = this.#options.store.create(task);
      await live.writes;
    } catch (error) {
      this.#forget(live);
      throw error;
    }
    this.#options.log.info({ taskId: task.taskId, owner: task.owner, tool: task.call.tool }, 'task created');
    this.#sweeper.expect(task.expiresAt);
    this.#enqueue(live);
    return this.#view(live);
  }

  /**
   * Runs a call that is nobody's task: queued, scheduled and limited as one, but not kept; unless it has an
   * idempotency key, by which it may be asked for again.
   * @param signal cancels it
   * @throws {RefusedError} as {@link create}
   */
  async call(wanted: NewTask, observer: RunObserver, signal: AbortSignal): Promise<TerminalTask> {
    if (wanted.idempotencyKey !== undefined) return this.#callOnce(wanted, observer, signal);
    const live = this.#admit(wanted, Infinity, false);
    live.observers = [observer];
    observer.attached?.(() => this.#view(live));
    const ended = untilEnded(live);
    const cancel = () => this.#end(live, { type: 'cancelled' });
    signal.addEventListener('abort', cancel, { once: true });
    if (signal.aborted) cancel();
    else this.#enqueue(live);
    try {
      return await ended;
    } finally {
      signal.removeEventListener('abort', cancel);
    }
  }

  async #callOnce(wanted: NewTask, observer: RunObserver, signal: AbortSignal): Promise<TerminalTask> {
    const { taskId, owner } = (await this.create(wanted)).task;
    try {
      // A run says nothing before the next turn of the event loop.
      return await this.ended(owner, taskId, signal, observer);
    } catch (error) {
      if (signal.aborted) await this.cancel(owner, taskId).catch(() => {});
      throw error;
    }
  }

  /** @throws {UnknownTaskError} when the owner has no such task */
  async get(owner: string, taskId: string): Promise<TaskView> {
    const live = this.#find(owner, taskId);
    if (live !== undefined) return this.#view(live);
    const task = await this.#options.store.get(taskId);
    if (task === undefined || task.owner !== owner || task.expiresAt <= this.#now()) {
      throw new UnknownTaskError();
    }
    return { task };
  }

  /**
   * The owner's tasks from the oldest to the newest, a page at a time.
   * @throws {InvalidCursorError} when the cursor is none that was given out
   */
  async list(
    owner: string,
    cursor: string | undefined,
    limit: number,
  ): Promise<{ views: TaskView[]; nextCursor?: string }> {
    const page = await this.#options.store.list(owner, cursor, limit);
    const now = this.#now();
    const views = page.tasks
      .filter((task) => task.expiresAt > now)
      .map((task) => {
        const live = this.#live.get(task.taskId);
        return live === undefined ? { task } : this.#view(live);
      });
    return page.nextCursor === undefined ? { views } : { views, nextCursor: page.nextCursor };
  }

  /**
   * Resolves as soon as the task has ended.
   * @param run follows the run meanwhile; it is given the questions without an answer at once
   * @throws {UnknownTaskError} when the owner has no such task, or it expires meanwhile
   * @throws the signal's reason when it is aborted first
   */
  async ended(owner: string, taskId: string, signal: AbortSignal, run?: RunObserver): Promise<TerminalTask> {
    const { task } = await this.get(owner, taskId);
    if (isTerminal(task)) return task;
    signal.throwIfAborted();
    const live = this.#find(owner, taskId);
    if (live !== undefined) {
      run?.attached?.(() => this.#view(live));
      return untilEnded(live, signal, run);
    }
    const later = await this.get(owner, taskId);
    if (isTerminal(later.task)) return later.task;
    throw new ProtocolError(ErrorCode.internal, 'The end of the task could not be stored');
  }

  /**
   * Cancels a task. It is `cancelled` when this resolves, and its thread is being freed.
   * @throws {UnknownTaskError} when the owner has no such task
   * @throws {TaskEndedError} when it has ended before
   */
  async cancel(owner: string, taskId: string): Promise<TaskView> {
    const { task } = await this.get(owner, taskId);
    const live = this.#find(owner, taskId);
    if (live === undefined || !this.#end(live, { type: 'cancelled' })) {
      await live?.writes;
      throw new TaskEndedError((live?.task ?? task).state);
    }
    await live.writes;
    return { task: live.shown };
  }

  /**
   * Gives the observer every change of a task from now on.
   * @returns the task as it is now; where it has ended, nothing more comes
   * @throws {UnknownTaskError} when the owner has no such task
   */
  async follow(owner: string, taskId: string, observer: Observer): Promise<TaskView> {
    const view = await this.get(owner, taskId);
    const live = this.#find(owner, taskId);
    if (live === undefined) return isTerminal(view.task) ? view : this.get(owner, taskId);
    observe(live, observer);
    return this.#view(live);
  }

  /**
   * Answers questions of a task by their keys. What is no question of its, or has its answer, is passed over.
   * @throws {UnknownTaskError} when the owner has no such task
   */
  async answer(owner: string, taskId: string, answers: ReadonlyMap<string, Answer>): Promise<void> {
    await this.get(owner, taskId);
    for (const question of this.#find(owner, taskId)?.questions ?? []) {
      const answer = answers.get(question.key);
      if (answer !== undefined) question.answer(answer);
    }
  }

  /** Ends the following of a task. */
  unobserve(taskId: string, observer: Observer): void {
    const live = this.#live.get(taskId);
    if (live !== undefined) unobserve(live, observer);
  }

  /** How many tasks and calls wait, and how many run. */
  get load(): { queued: number; running: number } {
    const queued = this.#scheduler.size;
    return { queued, running: this.#live.size - queued };
  }

  /**
   * Refuses new work, fails what is queued, lets what runs go on for up to `drainMs`, and fails the rest.
   * Then the runner and the store are closed.
   */
  async close(drainMs: number): Promise<void> {
    this.#closing = true;
    const message = 'interrupted: the server is closing';
    const interrupt = (live: Live) => this.#end(live, { type: 'error', code: ErrorCode.refused, message });
    for (const live of this.#live.values()) if (live.task.state === 'queued') interrupt(live);
    if (this.#live.size > 0) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(() => {
          for (const live of this.#live.values()) interrupt(live);
        }, drainMs);
        this.#drained = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
    this.#sweeper.close();
    await this.#options.runner.close();
    await this.#options.store.close();
  }

  #admit(wanted: NewTask, ttlMs: number, kept: boolean): Live {
    const { owner, call } = wanted;
    if (this.#closing) throw new RefusedError('The server is closing and takes no new work');
    const refusal = this.#options.runner.refusal(call);
    if (refusal !== undefined) throw new RefusedError(refusal);
    this.#admission.enter(owner, call.tool, {
      room: this.#options.runner.room(call.lane),
      ahead: () => this.#scheduler.aheadOfNext(call.lane, owner),
    });
    const pollIntervalMs = wanted.pollIntervalMs ?? this.#options.pollIntervalMs;
    const live = newLive(newTask({ ...wanted, ttlMs, pollIntervalMs }, this.#options.store.clock), kept);
    this.#live.set(live.task.taskId, live);
    return live;
  }

  #enqueue(live: Live): void {
    const { taskId, owner, call, state } = live.task;
    // It may have been interrupted while the store wrote it.
    if (state !== 'queued') return;
    this.#scheduler.push({ taskId, owner, lane: call.lane });
    this.#dispatch(call.lane);
  }

  #dispatch(lane: Lane): void {
    const { runner } = this.#options;
    while (runner.room(lane) > 0) {
      const taskId = this.#scheduler.next(lane);
      if (taskId === undefined) return;
      this.#start(this.#live.get(taskId)!);
    }
  }

  #start(live: Live): void {
    const { taskId, call } = live.task;
    const refusal = this.#options.runner.refusal(call);
    if (refusal !== undefined) {
      this.#end(live, { type: 'error', code: ErrorCode.refused, message: refusal });
      return;
    }
    const run = this.#options.runner.start(
      taskId,
      call,
      { number: 1 },
      {
        progress: (progress) => {
          if (isTerminal(live.task)) return;
          live.progress = progress;
          for (const observer of live.observers) observer.progress?.(progress);
        },
        log: (entries) => {
          if (isTerminal(live.task)) return;
          for (const observer of live.observers) observer.log?.(entries);
        },
        ask: (question, reply) => askCaller(live, question, reply, (state) => this.#move(live, state)),
        finished: (outcome) => this.#end(live, outcome),
        left: () => {},
        checkpoint: () => {},
      },
    );
    live.run = run;
    if (this.#admission.started(live.task.owner)) this.#scheduler.hold(live.task.owner);
    this.#move(live, 'running', { startedAt: Date.now(), thread: run.thread });
  }

  #move(live: Live, state: TaskState, change: Partial<Task> = {}): void {
    this.#commit(live, transition(live.task, state, { ...change, updatedAt: Date.now() }));
  }

  /** Ends a task; false where it had ended before. */
  #end(live: Live, outcome: Outcome): boolean {
    if (isTerminal(live.task)) return false;
    const { task } = live;
    if (task.state === 'queued') {
      this.#scheduler.remove({ taskId: task.taskId, owner: task.owner, lane: task.call.lane });
    }
    const { state, ...words } = ending(outcome);
    this.#move(live, state, { outcome, endedAt: Date.now(), ...words });
    for (const question of live.questions) question.withdraw();
    live.run?.stop();
    return true;
  }

  /** Makes a transition: at once for what the engine decides by, and for everybody else once it is written. */
  #commit(live: Live, task: Task): void {
    const from = live.task.state;
    live.task = task;
    const write = async () => {
      if (live.kept) await this.#write(from, task);
      live.shown = task;
      if (isTerminal(task)) this.#forget(live);
      // A task that has expired meanwhile has been taken out, and its observers told.
      const view = this.#view(live);
      for (const observer of live.observers) observer.status?.(view);
    };
    live.writes = live.writes.then(write, write);
  }

  async #write(from: Task['state'], task: Task): Promise<void> {
    const { taskId, owner, call, state, outcome } = task;
    try {
      await this.#options.store.replace(from, task);
    } catch (error) {
      this.#options.log.error({ err: error, taskId, state }, 'the store did not take a state');
    }
    if (outcome !== undefined) {
      const ranMs = task.startedAt === undefined ? 0 : task.updatedAt - task.startedAt;
      this.#options.log.info({ taskId, owner, tool: call.tool, state, ranMs }, 'task ended');
    }
  }

  #expire(purged: readonly Purged[]): void {
    for (const { taskId, owner } of purged) {
      const live = this.#live.get(taskId);
      this.#options.log.info({ taskId, owner }, 'task expired');
      if (live === undefined) continue;
      const { observers } = live;
      live.observers = [];
      this.#end(live, { type: 'error', code: ErrorCode.timeout, message: 'The task expired' });
      for (const observer of observers) observer.gone?.();
    }
  }

  #forget(live: Live): void {
    const { taskId, owner } = live.task;
    if (!this.#live.delete(taskId)) return;
    if (this.#admission.left(owner, live.run !== undefined)) {
      this.#scheduler.release(owner);
      this.#dispatch('cpu');
      this.#dispatch('io');
    }
    if (this.#live.size === 0) this.#drained();
  }

  #find(owner: string, taskId: string): Live | undefined {
    const live = this.#live.get(taskId);
    return live !== undefined && isVisible(live, owner, this.#now()) ? live : undefined;
  }

  #now(): number {
    return this.#options.store.clock.now();
  }

  #view(live: Live): TaskView {
    const ahead = ({ taskId, owner, call }: Task) =>
      this.#scheduler.ahead({ taskId, owner, lane: call.lane });
    return viewOf(live, ahead);
  }
}
