import { ErrorCode, RefusedError, TaskEndedError, UnknownTaskError } from '../errors.ts';
import { SERVER_STOPPED, afterClosing } from './again.ts';
import { Elsewhere } from './elsewhere.ts';
import { Lifecycle, type LifecycleOptions } from './lifecycle.ts';
import { isVisible, observe, unobserve, untilEnded, type Live } from './live.ts';
import type { Observer, RunObserver, TaskView } from './observer.ts';
import { Once } from './once.ts';
import type { Answer } from './question.ts';
import { Recovery, type RecoveryOptions } from './recovery.ts';
import type { Purged } from './store.ts';
import { Sweeper } from './sweeper.ts';
import { isTerminal, newTask, type NewTask, type Task, type TerminalTask } from './task.ts';

export interface EngineOptions extends LifecycleOptions, RecoveryOptions {
  readonly defaultTtlMs: number;
  readonly maxTtlMs: number;
  readonly pollIntervalMs: number;
}

/**
 * Creates tasks, answers for them and lets who wants it follow them. The only writer of the states of its tasks;
 * those of other servers that use the same store it reads.
 */
export class Engine {
  readonly #options: EngineOptions;
  readonly #lifecycle: Lifecycle;
  readonly #elsewhere: Elsewhere;
  readonly #once = new Once();
  readonly #sweeper: Sweeper;
  readonly #recovery: Recovery;
  #closing = false;

  constructor(options: EngineOptions) {
    const { store, log } = options;
    this.#options = options;
    this.#lifecycle = new Lifecycle(options, (live) => this.#lost(live));
    this.#elsewhere = new Elsewhere(store, log);
    this.#sweeper = new Sweeper(store, log, (purged) => this.#expire(purged));
    this.#recovery = new Recovery(options, this.#lifecycle, this.#elsewhere, this.#sweeper);
  }

  /** Takes over what servers that have gone have left in the store. Called once, before anything else. */
  recover(): Promise<void> {
    return this.#recovery.start(() => {
      for (const live of this.#lifecycle.values()) if (live.stored !== undefined) void this.#lost(live);
    });
  }

  /**
   * Creates a task, or gives the one that has the same idempotency key. It is returned once the store has it;
   * it may be running by then, and in the second case have ended.
   * @param observer follows it from its creation, or from now
   * @throws {RefusedError} when too many wait, or the engine is closing
   * @throws {StoreUnavailableError} when the store cannot keep it now
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
    const live = this.#lifecycle.get(task.taskId);
    if (isTerminal(task) && live === undefined) return { task };
    try {
      if (!isNew && observer !== undefined) return await this.follow(owner, task.taskId, observer);
      return live === undefined ? await this.get(owner, task.taskId) : this.#lifecycle.view(live);
    } catch (error) {
      if (isNew || !(error instanceof UnknownTaskError)) throw error;
      // It has expired since it was found, so that there is none of this key any more.
      return this.create(wanted, observer);
    }
  }

  async #create(wanted: NewTask, observer?: Observer): Promise<TaskView> {
    const { store, log, defaultTtlMs, maxTtlMs } = this.#options;
    const live = this.#admit(wanted, Math.min(wanted.ttlMs ?? defaultTtlMs, maxTtlMs), true);
    const { task } = live;
    if (observer !== undefined) live.observers = [observer];
    try {
      live.writes = store.create(task).then(() => {
        live.stored = task;
      });
      await live.writes;
    } catch (error) {
      this.#lifecycle.lose(live);
      throw error;
    }
    log.info({ taskId: task.taskId, owner: task.owner, tool: task.call.tool }, 'task created');
    this.#sweeper.expect(task.expiresAt);
    this.#lifecycle.enqueue(live);
    return this.#lifecycle.view(live);
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
    observer.attached?.(() => this.#lifecycle.view(live));
    const ended = untilEnded(followed(live));
    const cancel = () => this.#lifecycle.end(live, { type: 'cancelled' });
    signal.addEventListener('abort', cancel, { once: true });
    if (signal.aborted) cancel();
    else this.#lifecycle.enqueue(live);
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
    if (live !== undefined) return this.#lifecycle.view(live);
    const task = await this.#options.store.get(taskId);
    if (task === undefined || task.owner !== owner || task.expiresAt <= this.#now()) {
      throw new UnknownTaskError();
    }
    // It may have come to this server meanwhile.
    const now = this.#find(owner, taskId);
    return now === undefined ? this.#elsewhere.view(task) : this.#lifecycle.view(now);
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
        const live = this.#lifecycle.get(task.taskId);
        return live === undefined ? { task } : this.#lifecycle.view(live);
      });
    return page.nextCursor === undefined ? { views } : { views, nextCursor: page.nextCursor };
  }

  /**
   * Resolves as soon as the task has ended.
   * @param run follows the run meanwhile; it is given the questions without an answer at once, where it runs here
   * @throws {UnknownTaskError} when the owner has no such task, or it expires meanwhile
   * @throws {RefusedError} when the server is closing, and leaves the task to the next one
   * @throws the signal's reason when it is aborted first
   */
  async ended(owner: string, taskId: string, signal: AbortSignal, run?: RunObserver): Promise<TerminalTask> {
    const { task } = await this.get(owner, taskId);
    if (isTerminal(task)) return task;
    signal.throwIfAborted();
    const live = this.#find(owner, taskId);
    if (live === undefined) return this.#endedElsewhere(task, signal);
    run?.attached?.(() => this.#lifecycle.view(live));
    const unobserve = (observer: Observer) => this.unobserve(taskId, observer);
    const ended = untilEnded({ ...followed(live), unobserve }, signal, run);
    for (const question of live.questions) run?.asked?.(question);
    return ended;
  }

  #endedElsewhere(task: Task, signal?: AbortSignal): Promise<TerminalTask> {
    const { taskId } = task;
    return untilEnded(
      {
        observe: (observer) => this.#elsewhere.observe(task, observer),
        unobserve: (observer) => this.unobserve(taskId, observer),
      },
      signal,
    );
  }

  /**
   * Cancels a task. It is `cancelled` when this resolves, and its thread is being freed.
   * @throws {UnknownTaskError} when the owner has no such task
   * @throws {TaskEndedError} when it has ended before
   */
  async cancel(owner: string, taskId: string): Promise<TaskView> {
    const { task } = await this.get(owner, taskId);
    const live = this.#find(owner, taskId);
    if (live === undefined && !isTerminal(task)) return this.#cancelElsewhere(task);
    if (live === undefined || !this.#lifecycle.end(live, { type: 'cancelled' })) {
      await live?.writes;
      throw new TaskEndedError((live?.task ?? task).state);
    }
    await live.writes;
    return isTerminal(live.shown) ? { task: live.shown } : this.cancel(owner, taskId);
  }

  async #cancelElsewhere(task: Task): Promise<TaskView> {
    const ended = this.#endedElsewhere(task);
    // Where the letter cannot be left, nobody waits for it.
    ended.catch(() => {});
    await this.#options.store.shared?.post({ taskId: task.taskId, wish: { type: 'cancel' } });
    // Where its server is about to be taken for dead, the letter is for this one.
    void this.#recovery.readLetters();
    const { state, outcome } = await ended;
    if (outcome.type !== 'cancelled') throw new TaskEndedError(state);
    return this.get(task.owner, task.taskId);
  }

  /**
   * Gives the observer every change of a task from now on.
   * @returns the task as it is now; where it has ended, nothing more comes
   * @throws {UnknownTaskError} when the owner has no such task
   */
  async follow(owner: string, taskId: string, observer: Observer): Promise<TaskView> {
    const view = await this.get(owner, taskId);
    const live = this.#find(owner, taskId);
    if (live === undefined) {
      if (!isTerminal(view.task)) this.#elsewhere.observe(view.task, observer);
      return view;
    }
    observe(live, observer);
    return this.#lifecycle.view(live);
  }

  /**
   * Answers questions of a task by their keys; the answers are kept when this resolves. What is no question of its,
   * or has its answer, is passed over.
   * @throws {UnknownTaskError} when the owner has no such task
   * @throws {StoreUnavailableError} when it is another server's, and nothing can be left for that one now
   */
  async answer(owner: string, taskId: string, answers: ReadonlyMap<string, Answer>): Promise<void> {
    const { task, questions = [] } = await this.get(owner, taskId);
    const live = this.#find(owner, taskId);
    if (live === undefined) {
      await this.#elsewhere.answer(task, answers);
      // This server may have taken it over meanwhile.
      void this.#recovery.readLetters();
      return;
    }
    for (const question of questions) {
      const answer = answers.get(question.key);
      if (answer !== undefined) question.answer(answer);
    }
    await live.writes;
  }

  /** Ends the following of a task. */
  unobserve(taskId: string, observer: Observer): void {
    const live = this.#lifecycle.get(taskId);
    if (live !== undefined) unobserve(live, observer);
    this.#elsewhere.unobserve(taskId, observer);
  }

  /** How many tasks and calls wait, and how many run. */
  get load(): { queued: number; running: number } {
    return this.#lifecycle.load;
  }

  /**
   * Refuses new work, and lets what runs go on for up to `drainMs`. What a store keeps that outlives the server is
   * left to the next one; all else that has not ended fails. Then the runner and the store are closed.
   */
  async close(drainMs: number): Promise<void> {
    this.#closing = true;
    this.#recovery.close();
    // Nor what it leaves to the next one.
    this.#elsewhere.close(new RefusedError('The server is closing: ask the next one for the task'));
    this.#lifecycle.stopStarting();
    for (const live of this.#lifecycle.values()) if (live.counts === 'waiting') this.#interrupt(live);
    const timer = setTimeout(() => {
      for (const live of this.#lifecycle.values()) this.#interrupt(live);
    }, drainMs);
    await this.#lifecycle.drained();
    clearTimeout(timer);
    this.#sweeper.close();
    await this.#lifecycle.close();
    await this.#options.runner.close();
    await this.#options.store.close();
  }

  /** Leaves a task to the next server where that may go on with it, and fails it where not. */
  #interrupt(live: Live): void {
    const { task, kept } = live;
    if (!kept || this.#options.store.shared === undefined) {
      const message = 'interrupted: the server is closing';
      this.#lifecycle.end(live, { type: 'error', code: ErrorCode.refused, message });
      return;
    }
    const later = new RefusedError(
      `The server is closing: task ${task.taskId} goes on when it is started again`,
    );
    if (task.state !== 'running') return this.#lifecycle.leave(live, later);
    // Where its start has been written, and no more, it is as if it had not.
    const again = live.run === undefined ? { pauseMs: 0, change: {} } : afterClosing(task);
    // Who asks the next server for it should not find one that is closing.
    if (again === undefined) this.#lifecycle.end(live, SERVER_STOPPED);
    else this.#lifecycle.leave(live, later, again);
  }

  #admit(wanted: NewTask, ttlMs: number, kept: boolean): Live {
    if (this.#closing) throw new RefusedError('The server is closing and takes no new work');
    this.#lifecycle.admit(wanted);
    const pollIntervalMs = wanted.pollIntervalMs ?? this.#options.pollIntervalMs;
    return this.#lifecycle.add(
      newTask({ ...wanted, ttlMs, pollIntervalMs }, this.#options.store.clock),
      kept,
    );
  }

  /** The store has a task of another server's hand, or not at all. */
  async #lost(live: Live): Promise<void> {
    const { taskId } = live.task;
    const { observers } = live;
    live.observers = [];
    this.#lifecycle.lose(live);
    const task = await this.#options.store.get(taskId).catch(() => undefined);
    // Nobody may have had it after all.
    const again = this.#lifecycle.get(taskId);
    for (const observer of observers) {
      if (task === undefined) observer.gone?.();
      else if (again !== undefined) observe(again, observer);
      else this.#elsewhere.observe(task, observer);
    }
  }

  #expire(purged: readonly Purged[]): void {
    for (const { taskId, owner } of purged) {
      const live = this.#lifecycle.get(taskId);
      this.#options.log.info({ taskId, owner }, 'task expired');
      if (live === undefined) continue;
      const { observers } = live;
      live.observers = [];
      this.#lifecycle.end(live, { type: 'error', code: ErrorCode.timeout, message: 'The task expired' });
      for (const observer of observers) observer.gone?.();
    }
  }

  #find(owner: string, taskId: string): Live | undefined {
    const live = this.#lifecycle.get(taskId);
    return live !== undefined && isVisible(live, owner, this.#now()) ? live : undefined;
  }

  #now(): number {
    return this.#options.store.clock.now();
  }
}

function followed(live: Live) {
  return {
    observe: (observer: Observer) => observe(live, observer),
    unobserve: (observer: Observer) => unobserve(live, observer),
  };
}
