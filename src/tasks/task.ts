import { randomUUID } from 'node:crypto';
import type { Clock } from './clock.ts';
import type { Answer, NumberedQuestion, Question } from './question.ts';

/**
 * A task and its states.
 *
 *     queued <──> running ──> completed | failed | cancelled
 *      │  ▲        │   ▲
 *      │  │        ▼   │
 *      │  └──── input_required ──> failed | cancelled
 *      └──> failed | cancelled
 *
 * Back in the queue is what is run again: after a failure, or because its process has ended.
 *
 * Records are immutable: a transition gives a new one. Only the engine makes transitions.
 */
export type TaskState = 'queued' | 'running' | 'input_required' | 'completed' | 'failed' | 'cancelled';

/** Which kind of thread a task wants: one to itself (`cpu`), or a share of one (`io`). */
export type Lane = 'cpu' | 'io';

/** What is to be run. The engine hands it to the runner unread. */
export interface Call {
  readonly tool: string;
  readonly args: Readonly<Record<string, unknown>>;
  readonly lane: Lane;
  /** Counted from the start of the run. */
  readonly timeoutMs?: number;
  /** A run that was interrupted may be made again: by its tool's word, it does no harm. */
  readonly idempotent?: boolean;
  /** A run that failed may be made again, too. */
  readonly retry?: Retry;
  /** Only what comes before the run is to be done, with these answers to its first questions; see {@link Preparation}. */
  readonly prepare?: { readonly answers: readonly (Answer | undefined)[] };
  /** What that gave. Without it, the run does it first itself. */
  readonly prepared?: { readonly value: unknown };
}

export interface Retry {
  /** How often the call is run at most; a run that was interrupted does not count. */
  readonly attempts: number;
  /** What is waited before the next run, in milliseconds; or one second, and each time twice as long, up to a minute. */
  readonly backoff: 'exponential' | number;
}

/** The result of a call with {@link Call.prepare}: what the run is to get, or what is to be answered first. */
export type Preparation =
  | { readonly type: 'prepared'; readonly value: unknown }
  | { readonly type: 'asks'; readonly questions: readonly NumberedQuestion[] };

/** How a run ended. A wire maps each onto its protocol revision. */
export type Outcome =
  | { readonly type: 'result'; readonly result: Readonly<Record<string, unknown>>; readonly isError: boolean }
  | { readonly type: 'error'; readonly code: number; readonly message: string }
  | { readonly type: 'cancelled' };

export interface Progress {
  readonly done: number;
  readonly total?: number;
  readonly message?: string;
}

export interface LogEntry {
  readonly level: string;
  readonly message: string;
}

/** A question that a run has asked, and what it was answered. Another run of the task that asks it gets the same answer. */
export interface Asked {
  readonly key: string;
  readonly question: Question;
  readonly answer?: Answer;
}

/** Times are milliseconds since the epoch, and durations milliseconds. */
export interface Task {
  readonly taskId: string;
  readonly owner: string;
  readonly call: Call;
  /** Chosen by the owner: the same key means the same task. */
  readonly idempotencyKey?: string;
  readonly state: TaskState;
  readonly statusMessage?: string;
  readonly createdAt: number;
  readonly updatedAt: number;
  readonly startedAt?: number;
  readonly endedAt?: number;
  /** From creation; after it the task is unknown. */
  readonly ttlMs: number;
  /** When that is, by the store's {@link Clock}. */
  readonly expiresAt: number;
  readonly pollIntervalMs: number;
  /** The id of the thread that runs or ran it. */
  readonly thread?: number;
  /** The number of its last run, from 1. */
  readonly attempt?: number;
  /** How many of its runs have failed, and been followed by another. */
  readonly failures?: number;
  /** How many of its runs ended with the process that they ran in, by no word of the tool's. */
  readonly interruptions?: number;
  /** What its last run has kept for the next one: JSON. Until it has ended. */
  readonly checkpoint?: { readonly value: unknown };
  /** In the order in which they were asked. Until it has ended. */
  readonly asked?: readonly Asked[];
  readonly outcome?: Outcome;
}

export type TerminalTask = Task & { readonly outcome: Outcome };

export interface NewTask {
  readonly owner: string;
  readonly call: Call;
  /** Default and maximum are the engine's. */
  readonly ttlMs?: number | undefined;
  readonly pollIntervalMs?: number | undefined;
  /** Makes a repeated request the same task. */
  readonly idempotencyKey?: string | undefined;
}

const NEXT: Readonly<Record<TaskState, readonly TaskState[]>> = {
  queued: ['running', 'failed', 'cancelled'],
  running: ['queued', 'input_required', 'completed', 'failed', 'cancelled'],
  input_required: ['queued', 'running', 'failed', 'cancelled'],
  completed: [],
  failed: [],
  cancelled: [],
};

/**
 * A task in its first state.
 * @param clock by which it expires
 */
export function newTask(
  wanted: NewTask & { readonly ttlMs: number; readonly pollIntervalMs: number },
  clock: Clock,
): Task {
  const { owner, call, ttlMs, pollIntervalMs, idempotencyKey } = wanted;
  const now = Date.now();
  return {
    taskId: randomUUID(),
    owner,
    call,
    ...(idempotencyKey !== undefined && { idempotencyKey }),
    state: 'queued',
    createdAt: now,
    updatedAt: now,
    ttlMs,
    expiresAt: clock.now() + ttlMs,
    pollIntervalMs,
  };
}

export function isTerminal(task: Task): task is TerminalTask {
  return task.outcome !== undefined;
}

/** @throws {Error} when the state may not follow the task's own: a fault of this program, never of a caller. */
export function transition(
  task: Task,
  state: TaskState,
  change: Partial<Omit<Task, 'taskId' | 'state'>>,
): Task {
  if (!NEXT[task.state].includes(state)) {
    throw new Error(`task ${task.taskId}: ${task.state} -> ${state} is not a legal transition`);
  }
  return { ...task, ...change, state };
}

/** The state and the words in which a task ends with this outcome. */
export function ending(outcome: Outcome): { state: TaskState; statusMessage?: string } {
  switch (outcome.type) {
    case 'result':
      return outcome.isError
        ? { state: 'failed', statusMessage: firstText(outcome.result) ?? 'The tool reported an error' }
        : { state: 'completed' };
    case 'error':
      return { state: 'failed', statusMessage: outcome.message };
    case 'cancelled':
      return { state: 'cancelled', statusMessage: 'The task was cancelled by request' };
  }
}

/** The task with this outcome. What was kept for another run is for none. */
export function ended(before: Task, outcome: Outcome): Task {
  const { checkpoint: _, asked: __, ...task } = before;
  const { state, ...words } = ending(outcome);
  const now = Date.now();
  return transition(task, state, { outcome, endedAt: now, updatedAt: now, ...words });
}

/** The first text block of a tool's result, shortened to what fits a status line. */
function firstText(result: Readonly<Record<string, unknown>>): string | undefined {
  const blocks = Array.isArray(result['content']) ? (result['content'] as { text?: unknown }[]) : [];
  const text = blocks.find((block) => typeof block.text === 'string')?.text as string | undefined;
  return text !== undefined && text.length > 500 ? `${text.slice(0, 500)}…` : text;
}
