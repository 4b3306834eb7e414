import { ErrorCode, RefusedError, type ProtocolError } from '../errors.ts';
import type { Limits } from './admission.ts';
import { after, afterWaiting, type Again } from './again.ts';
import { askCaller, put } from './ask-caller.ts';
import type { Journal } from './journal.ts';
import { newLive, viewOf, type Live } from './live.ts';
import type { Log } from './log.ts';
import type { TaskView } from './observer.ts';
import { Queue } from './queue.ts';
import type { Repeatable, RunHooks, Runner } from './runner.ts';
import type { TaskStore } from './store.ts';
import { ended, isTerminal, transition, type Lane, type Outcome, type Task, type TaskState } from './task.ts';
import { Writer } from './writer.ts';

export interface LifecycleOptions extends Limits {
  readonly store: TaskStore;
  readonly runner: Runner;
  readonly log: Log;
}

/**
 * Takes the tasks of this server through their states: starts them when there is room, runs them again where that
 * is due, and ends each exactly once. Whatever races, the first transition to a terminal state wins and the others
 * find it ended.
 */
export class Lifecycle {
  readonly #runner: Runner;
  readonly #log: Log;
  readonly #queue: Queue;
  readonly #writer: Writer;
  readonly #live = new Map<string, Live>();
  /** Those whose start is being written, or has been and finds no room. */
  readonly #starting: Record<Lane, Set<Live>> = { cpu: new Set(), io: new Set() };
  /** Of these the ones whose start has been written. */
  readonly #written: Record<Lane, Live[]> = { cpu: [], io: [] };
  readonly #lost: (live: Live) => Promise<void>;
  #isClosing = false;
  /** How many have not ended. */
  #active = 0;
  /** Called when the last of them has. */
  #drained: () => void = () => {};

  /** @param lost is given each task that another server has, or nobody; its observers are still to be told */
  constructor(options: LifecycleOptions, lost: (live: Live) => Promise<void>) {
    const { runner, store, log } = options;
    this.#runner = runner;
    this.#log = log;
    this.#lost = lost;
    this.#queue = new Queue(options, log);
    this.#writer = new Writer(store, log);
    runner.onRoom = (lane) => this.#dispatch(lane);
  }

  get(taskId: string): Live | undefined {
    return this.#live.get(taskId);
  }

  values(): Live[] {
    return [...this.#live.values()];
  }

  /** How many tasks and calls wait, and how many run. */
  get load(): { queued: number; running: number } {
    let running = 0;
    for (const live of this.#live.values()) if (live.counts === 'running') running++;
    return { queued: this.#queue.size, running };
  }

  /** @throws {RefusedError} when it will not be run, or too many wait already */
  admit({ owner, call }: Pick<Task, 'owner' | 'call'>): void {
    const refusal = this.#runner.refusal(call);
    if (refusal !== undefined) throw new RefusedError(refusal);
    this.#queue.enter({ owner, call }, this.#runner.room(call.lane) - this.#starting[call.lane].size);
  }

  /** Takes a task on that has been admitted. */
  add(task: Task, kept: boolean): Live {
    const live = newLive(task, kept);
    this.#active++;
    this.#live.set(task.taskId, live);
    return live;
  }

  /**
   * Takes a task on that had been admitted before it came here.
   * @param stored as the store has it
   */
  readmit(task: Task, stored: Task): Live {
    this.#queue.readmit(task.owner);
    const live = this.add(task, true);
    live.stored = stored;
    return live;
  }

  enqueue(live: Live): void {
    // It may have been interrupted while the store wrote it.
    if (live.task.state !== 'queued' || live.isLost) return;
    this.#queue.push(live.task);
    this.#dispatch(live.task.call.lane);
  }

  /** Ends a task; false where it had ended before. */
  end(live: Live, outcome: Outcome): boolean {
    if (live.isLost || isTerminal(live.task)) return false;
    if (live.task.state === 'queued') this.#queue.remove(live.task);
    clearTimeout(live.pause);
    this.#commit(live, ended(live.task, outcome));
    this.#startNot(live);
    for (const question of live.questions) question.withdraw();
    live.run?.stop();
    return true;
  }

  /** Puts a task back into the queue, for another run. */
  again(live: Live, { pauseMs, change }: Again): void {
    this.#stopped(live);
    for (const question of live.questions) question.withdraw();
    live.questions = [];
    this.#move(live, 'queued', change);
    // A run that ran out of time may still be on its way out.
    const pause = () => (live.pause = setTimeout(() => this.enqueue(live), pauseMs));
    if (live.holdsPlace) live.left = pause;
    else if (pauseMs > 0) pause();
    else this.enqueue(live);
  }

  /**
   * Puts the questions of a task to its callers anew, of which there is no run any more. When the last is answered
   * it is run again, and given the answers.
   */
  restoreQuestions(live: Live): void {
    const change = (asked: Journal, isWaiting: boolean) => this.#asked(live, asked, isWaiting);
    for (const { key, question, answer } of live.task.asked ?? []) {
      if (answer === undefined) put(live, key, question, () => {}, change);
    }
    if (live.questions.length === 0) this.again(live, afterWaiting(live.task));
  }

  /** Has nothing more to do with a task: another server has it, or nobody. */
  lose(live: Live): void {
    if (live.isLost) return;
    live.isLost = true;
    if (live.task.state === 'queued') this.#queue.remove(live.task);
    clearTimeout(live.pause);
    for (const question of live.questions) question.withdraw();
    live.run?.stop();
    this.#startNot(live);
    this.#settle(live);
    this.#forget(live);
  }

  /**
   * Leaves tasks to the next server, and tells who follows them.
   * @param again where the next server is to take it up again; undefined: where it is
   */
  leave(live: Live, reason: ProtocolError, again?: Again): void {
    live.run?.stop();
    delete live.run;
    if (again !== undefined) this.#commit(live, transition(live.task, 'queued', again.change), () => {});
    const left = () => {
      const { observers } = live;
      live.observers = [];
      for (const observer of observers) observer.gone?.(reason);
    };
    left();
    const lose = () => {
      // Some may have come in the meantime.
      left();
      this.lose(live);
    };
    live.writes = live.writes.then(lose, lose);
  }

  /** Starts no more tasks. */
  stopStarting(): void {
    this.#isClosing = true;
  }

  /** Resolves when all have ended, though the store may not have all of it. */
  async drained(): Promise<void> {
    if (this.#active > 0) await new Promise<void>((resolve) => (this.#drained = resolve));
  }

  /** Writes what the store has not taken, if it does now. */
  close(): Promise<void> {
    return this.#writer.close();
  }

  view(live: Live): TaskView {
    return viewOf(live, () => this.#queue.ahead(live.task));
  }

  #dispatch(lane: Lane): void {
    const starting = this.#starting[lane];
    const written = this.#written[lane];
    while (written.length > 0 && this.#runner.room(lane) > 0) this.#launch(written.shift()!);
    while (!this.#isClosing && this.#runner.room(lane) > starting.size) {
      const taskId = this.#queue.next(lane);
      if (taskId === undefined) return;
      this.#start(this.#live.get(taskId)!);
    }
  }

  /** It runs once that is written: what may not be run twice must not be found in the queue after a crash. */
  #start(live: Live): void {
    const { owner, call, attempt = 0 } = live.task;
    const refusal = this.#runner.refusal(call);
    if (refusal !== undefined) {
      this.end(live, { type: 'error', code: ErrorCode.refused, message: refusal });
      return;
    }
    this.#starting[call.lane].add(live);
    live.counts = 'running';
    this.#queue.started(owner);
    const now = Date.now();
    const running = transition(live.task, 'running', {
      startedAt: now,
      updatedAt: now,
      attempt: attempt + 1,
    });
    this.#commit(live, running, () => {
      this.#written[call.lane].push(live);
      this.#dispatch(call.lane);
    });
  }

  /** Its start is not waited for any more. */
  #startNot(live: Live): void {
    const { lane } = live.task.call;
    if (this.#starting[lane].delete(live)) this.#dispatch(lane);
  }

  #launch(live: Live): void {
    const { taskId, call, attempt, checkpoint } = live.task;
    if (!this.#starting[call.lane].delete(live)) return;
    const number = { number: attempt!, ...(checkpoint !== undefined && { checkpointed: checkpoint }) };
    live.holdsPlace = true;
    const hooks = this.#hooks(live, () => live.run === run);
    const run = this.#runner.start(taskId, call, number, hooks);
    live.run = run;
    live.task = { ...live.task, thread: live.run.thread };
    this.#show(live, live.task);
  }

  /** @param isCurrent whether it is the task's last run */
  #hooks(live: Live, isCurrent: () => boolean): RunHooks {
    const isOver = () => live.isLost || isTerminal(live.task) || !isCurrent();
    return {
      progress: (progress) => {
        if (isOver()) return;
        live.progress = progress;
        if (progress.done <= live.told) return;
        live.told = progress.done;
        for (const observer of live.observers) observer.progress?.(progress);
      },
      log: (entries) => {
        if (isOver()) return;
        for (const observer of live.observers) observer.log?.(entries);
      },
      checkpoint: (value) => {
        if (!isOver()) this.#amend(live, { checkpoint: { value } });
      },
      ask: (question, reply) => {
        if (isOver()) return;
        askCaller(live, question, reply, (asked, isWaiting) => this.#asked(live, asked, isWaiting));
      },
      finished: (outcome, how) => {
        if (!isOver()) this.#finished(live, outcome, how);
      },
      left: () => {
        live.holdsPlace = false;
        live.left?.();
        delete live.left;
      },
    };
  }

  #finished(live: Live, outcome: Outcome, how: Repeatable | undefined): void {
    if (how === 'interrupted' && live.task.state === 'input_required') {
      // It waits on, and is run again with the answers.
      this.#stopped(live);
      return;
    }
    const next = how === undefined ? outcome : after(live.task, outcome, how);
    if ('type' in next) {
      this.end(live, next);
      return;
    }
    const { taskId, call } = live.task;
    this.#log.warn({ taskId, tool: call.tool, why: next.change.statusMessage }, 'a task is run again');
    this.again(live, next);
  }

  #asked(live: Live, asked: Journal, isWaiting: boolean): void {
    if (live.isLost || isTerminal(live.task)) return;
    if (!isWaiting && live.run === undefined) {
      live.task = { ...live.task, asked };
      this.again(live, afterWaiting(live.task));
      return;
    }
    const state = isWaiting ? 'input_required' : 'running';
    if (live.task.state === state) this.#amend(live, { asked });
    else this.#move(live, state, { asked });
  }

  /** It has no run any more. */
  #stopped(live: Live): void {
    if (live.counts === 'running') {
      live.counts = 'waiting';
      if (this.#queue.stopped(live.task.owner)) this.#dispatchAll();
    }
    live.asked = 0;
    delete live.progress;
    delete live.run;
  }

  #move(live: Live, state: TaskState, change: Partial<Task>): void {
    this.#commit(live, transition(live.task, state, { ...change, updatedAt: Date.now() }));
  }

  /** Keeps something more of a task. */
  #amend(live: Live, change: Pick<Task, 'asked' | 'checkpoint'>): void {
    this.#commit(live, { ...live.task, ...change }, () => {
      live.shown = { ...live.shown, ...change };
    });
  }

  /**
   * Makes a transition: at once for what is decided by it, and for everybody else once it is written, or cannot be
   * for now. A start alone waits until it can.
   */
  #commit(live: Live, task: Task, written = () => this.#show(live, task)): void {
    live.task = task;
    const isStart = task.state === 'running' && !live.holdsPlace;
    const write = async () => {
      if (live.isLost) return;
      const how = live.kept ? await this.#writer.write(live) : 'kept';
      if (how === 'lost') return this.#lost(live);
      if (how === 'kept') return written();
      this.#writer.onCaughtUp(live, (later) => {
        if (later === 'lost') void this.#lost(live);
        else if (isStart) written();
        else if (isTerminal(live.shown)) this.#forget(live);
      });
      if (!isStart) written();
    };
    live.writes = live.writes.then(write, write);
  }

  /** Lets others see a state. */
  #show(live: Live, task: Task): void {
    if (live.isLost) return;
    live.shown = task;
    if (isTerminal(task)) {
      const { taskId, owner, call, state, startedAt, updatedAt } = task;
      const ranMs = startedAt === undefined ? 0 : updatedAt - startedAt;
      this.#log.info({ taskId, owner, tool: call.tool, state, ranMs }, 'task ended');
      this.#settle(live);
      if (!live.kept || live.stored === task) this.#forget(live);
    }
    const view = this.view(live);
    const { observers } = live;
    // It may be here for longer, until the store has it.
    if (isTerminal(task)) live.observers = [];
    for (const observer of observers) observer.status?.(view);
  }

  /** It counts no longer, and may make room for another. */
  #settle(live: Live): void {
    if (live.counts === 'ended') return;
    const { owner } = live.task;
    const hadStarted = live.counts === 'running';
    live.counts = 'ended';
    if (this.#queue.left(owner, hadStarted)) this.#dispatchAll();
    if (--this.#active === 0) this.#drained();
  }

  #dispatchAll(): void {
    this.#dispatch('cpu');
    this.#dispatch('io');
  }

  #forget(live: Live): void {
    this.#live.delete(live.task.taskId);
  }
}
