import { UnknownTaskError, type ProtocolError } from '../errors.ts';
import type { Observer, RunObserver, TaskView } from './observer.ts';
import type { PendingQuestion } from './question.ts';
import type { Run } from './runner.ts';
import { isTerminal, type Progress, type Task, type TerminalTask } from './task.ts';

/** A task of this server's that has not ended, or whose end is still being written. */
export interface Live {
  /** Its state by the transitions made so far. */
  task: Task;
  /** Its state as others see it: once the store has it, or where that cannot take it now. */
  shown: Task;
  /** Its state by what the store has; undefined where that does not have it, or not yet. */
  stored: Task | undefined;
  /** False for a plain call, which nobody can ask for by id: the store never sees it. */
  readonly kept: boolean;
  run?: Run;
  /** What it counts as: a task runs from when its start is written until its end, or its way back to the queue. */
  counts: 'waiting' | 'running' | 'ended';
  /** Whether a run of it holds a place. */
  holdsPlace: boolean;
  /** Called when it does no longer. */
  left?: () => void;
  /** Until its next run is queued. */
  pause?: NodeJS.Timeout;
  progress?: Progress;
  /** The highest progress that has been told: of all its runs, as it never falls (2025-11-25, progress). */
  told: number;
  /** Without an answer so far. */
  questions: readonly PendingQuestion[];
  /** How many questions its last run has asked. */
  asked: number;
  /** Another server has it, or nobody: it is no concern of this one's any more. */
  isLost: boolean;
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
    stored: undefined,
    kept,
    told: -Infinity,
    counts: 'waiting',
    holdsPlace: false,
    observers: [],
    questions: [],
    asked: 0,
    isLost: false,
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

/** What a task can be followed by. */
export interface Followed {
  observe(observer: Observer): void;
  unobserve(observer: Observer): void;
}

/**
 * Resolves when the task has ended, and others may see it.
 * @param run follows the run meanwhile
 * @throws {UnknownTaskError} when it expires meanwhile
 * @throws {RefusedError} when this server stops following it: it is closing
 * @throws the signal's reason when it is aborted first
 */
export function untilEnded(
  followed: Followed,
  signal?: AbortSignal,
  run?: RunObserver,
): Promise<TerminalTask> {
  return new Promise((resolve, reject) => {
    const settle = (done: () => void) => {
      followed.unobserve(observer);
      signal?.removeEventListener('abort', aborted);
      done();
    };
    const observer: Observer = {
      ...run,
      status: ({ task }) => {
        if (isTerminal(task)) settle(() => resolve(task));
      },
      gone: (reason: ProtocolError = new UnknownTaskError()) => settle(() => reject(reason)),
    };
    const aborted = () => settle(() => reject(signal!.reason as Error));
    followed.observe(observer);
    signal?.addEventListener('abort', aborted, { once: true });
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
  // What is not kept yet would not be asked any more after a crash.
  const asked = questions.filter(({ key }) => task.asked?.some((entry) => entry.key === key));
  return {
    task,
    ...(progress !== undefined && { progress }),
    ...(asked.length > 0 && { questions: asked }),
  };
}
