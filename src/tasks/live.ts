import { UnknownTaskError } from '../errors.ts';
import type { Observer, RunObserver, TaskView } from './observer.ts';
import type { PendingQuestion } from './question.ts';
import type { Run } from './runner.ts';
import { isTerminal, type Progress, type Task, type TerminalTask } from './task.ts';

/** A task that has not ended, or whose end is still being written. */
export interface Live {
  /** Its state by the transitions made so far. */
  task: Task;
  /** Its state by what the store has; what others see. */
  shown: Task;
  /** False for a plain call, which nobody can ask for by id: the store never sees it. */
  readonly kept: boolean;
  run?: Run;
  progress?: Progress;
  /** Without an answer so far. */
  questions: readonly PendingQuestion[];
  /** How many questions there have been. */
  asked: number;
  /** Replaced, never changed: most tasks have none or one, and many wait. */
  observers: readonly Observer[];
  /** The writes to the store, one after the other. */
  writes: Promise<void>;
}

const NOTHING_WRITTEN = Promise.resolve();

export function newLive(task: Task, kept: boolean): Live {
  return {
    task,
    shown: task,
    kept,
    observers: [],
    questions: [],
    asked: 0,
    writes: NOTHING_WRITTEN,
  };
}

/** Whether the owner may know of it. */
export function isVisible({ kept, task }: Live, owner: string, now: number): boolean {
  return kept && task.owner === owner && task.expiresAt > now;
}

export function observe(live: Live, observer: Observer): void {
  if (!live.observers.includes(observer)) live.observers = [...live.observers, observer];
}

export function unobserve(live: Live, observer: Observer): void {
  live.observers = live.observers.filter((other) => other !== observer);
}

/**
 * Resolves when the task has ended, and others may see it.
 * @param run follows the run meanwhile; it is given the questions without an answer at once
 * @throws {UnknownTaskError} when it expires meanwhile
 * @throws the signal's reason when it is aborted first
 */
export function untilEnded(live: Live, signal?: AbortSignal, run?: RunObserver): Promise<TerminalTask> {
  return new Promise((resolve, reject) => {
    const settle = (done: () => void) => {
      unobserve(live, observer);
      signal?.removeEventListener('abort', aborted);
      done();
    };
    const observer: Observer = {
      ...run,
      status: ({ task }) => {
        if (isTerminal(task)) settle(() => resolve(task));
      },
      gone: () => settle(() => reject(new UnknownTaskError())),
    };
    const aborted = () => settle(() => reject(signal!.reason as Error));
    observe(live, observer);
    signal?.addEventListener('abort', aborted, { once: true });
    for (const question of live.questions) run?.asked?.(question);
  });
}

/**
 * The task as others see it.
 * @param ahead how many tasks start before a queued one
 */
export function viewOf(
  { shown: task, progress, questions }: Live,
  ahead: (task: Task) => number | undefined,
): TaskView {
  if (isTerminal(task)) return { task };
  if (task.state === 'queued') {
    const before = ahead(task);
    return before === undefined ? { task } : { task, ahead: before };
  }
  return {
    task,
    ...(progress !== undefined && { progress }),
    ...(questions.length > 0 && { questions }),
  };
}
