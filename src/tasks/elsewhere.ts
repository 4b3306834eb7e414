import type { ProtocolError } from '../errors.ts';
import type { Log } from './log.ts';
import type { Observer, TaskView } from './observer.ts';
import { PendingQuestion, type Answer } from './question.ts';
import type { TaskStore } from './store.ts';
import { isTerminal, type Asked, type Task } from './task.ts';

interface Entry {
  task: Task;
  observers: readonly Observer[];
}

/**
 * Follows tasks that run at another server of the same store, by what that one writes. Nobody here puts their
 * questions to a client; who answers one by its key has the answer passed on.
 */
export class Elsewhere {
  readonly #store: TaskStore;
  readonly #log: Log;
  readonly #followed = new Map<string, Entry>();
  /** Why nothing is followed any more. */
  #closed: ProtocolError | undefined;
  #isLooking = false;
  #lookAgain = false;

  constructor(store: TaskStore, log: Log) {
    this.#store = store;
    this.#log = log;
  }

  view(task: Task): TaskView {
    const open = openOf(task);
    if (open.length === 0) return { task };
    const questions = open.map(({ key, question }) => {
      const answered = (answer: Answer) => {
        this.#passOn(task, key, answer).catch((error: unknown) => {
          this.#log.error({ err: error, taskId: task.taskId, key }, 'an answer was not passed on');
        });
      };
      return new PendingQuestion(key, question, answered, () => {});
    });
    return { task, questions };
  }

  /** Resolves when its server will have the answers, or the one that takes it over. */
  async answer(task: Task, answers: ReadonlyMap<string, Answer>): Promise<void> {
    const given = openOf(task).flatMap(({ key }) => {
      const answer = answers.get(key);
      return answer === undefined ? [] : [this.#passOn(task, key, answer)];
    });
    await Promise.all(given);
  }

  async #passOn({ taskId }: Task, key: string, answer: Answer): Promise<void> {
    await this.#store.shared?.post({ taskId, wish: { type: 'answer', key, answer } });
  }

  observe(task: Task, observer: Observer): void {
    if (this.#closed !== undefined) {
      observer.gone?.(this.#closed);
      return;
    }
    const entry = this.#followed.get(task.taskId) ?? { task, observers: [] };
    entry.observers = [...entry.observers, observer];
    this.#followed.set(task.taskId, entry);
    // It may have moved on since it was read.
    this.look();
  }

  unobserve(taskId: string, observer: Observer): void {
    const entry = this.#followed.get(taskId);
    if (entry === undefined) return;
    entry.observers = entry.observers.filter((other) => other !== observer);
    if (entry.observers.length === 0) this.#followed.delete(taskId);
  }

  /** Gives up who follows a task, as it is taken over by this server. */
  take(taskId: string): readonly Observer[] {
    const { observers = [] } = this.#followed.get(taskId) ?? {};
    this.#followed.delete(taskId);
    return observers;
  }

  /** Follows nothing any more, and says so. */
  close(reason: ProtocolError): void {
    this.#closed = reason;
    const entries = [...this.#followed.values()];
    this.#followed.clear();
    for (const { observers } of entries) for (const observer of observers) observer.gone?.(reason);
  }

  /** Looks what has become of the tasks that are followed. */
  look(): void {
    this.#lookAgain = true;
    if (this.#isLooking) return;
    this.#isLooking = true;
    void this.#look();
  }

  async #look(): Promise<void> {
    while (this.#lookAgain) {
      this.#lookAgain = false;
      for (const [taskId, entry] of [...this.#followed]) {
        try {
          const task = await this.#store.get(taskId);
          // Another may have taken it, or nobody follow it any more.
          if (this.#followed.get(taskId) === entry) this.#tell(taskId, entry, task);
        } catch (error) {
          this.#log.error({ err: error, taskId }, 'a task of another server could not be read');
        }
      }
    }
    this.#isLooking = false;
  }

  #tell(taskId: string, entry: Entry, task: Task | undefined): void {
    const { observers } = entry;
    if (task === undefined || isTerminal(task)) this.#followed.delete(taskId);
    if (task === undefined) {
      for (const observer of observers) observer.gone?.();
      return;
    }
    const isSame =
      !isTerminal(task) && task.state === entry.task.state && task.updatedAt === entry.task.updatedAt;
    entry.task = task;
    if (isSame) return;
    const view = this.view(task);
    for (const observer of observers) observer.status?.(view);
  }
}

/** What it asks, and has no answer to. */
function openOf(task: Task): readonly Asked[] {
  return isTerminal(task) ? [] : (task.asked ?? []).filter(({ answer }) => answer === undefined);
}
