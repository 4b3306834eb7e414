import type { Answer, Question } from './question.ts';
import type { Call, Lane, LogEntry, Outcome, Progress } from './task.ts';

/** Which of a task's runs it is. */
export interface Attempt {
  /** From 1. */
  readonly number: number;
  /** What the run before has kept for this one. */
  readonly checkpointed?: { readonly value: unknown };
}

/**
 * How a run came to its outcome, where another might come to a better one. `failed`: the tool threw something that
 * its `retry` does not rule out, ran out of time or took its thread along. `interrupted`: its process ended, or the
 * thread that it shared with another run which took it along.
 */
export type Repeatable = 'failed' | 'interrupted';

/** What a run reports: never from within `start`, and nothing but `left` after `finished`; each of the two comes exactly once. */
export interface RunHooks {
  progress(progress: Progress): void;
  log(entries: readonly LogEntry[]): void;
  /** It waits for an answer; `reply` may never be called. */
  ask(question: Question, reply: (answer: Answer) => void): void;
  finished(outcome: Outcome, repeatable?: Repeatable): void;
  /** It holds no place any more: with `finished`, or later where it has been told to stop. Comes last. */
  left(): void;
  /** It keeps this for the task's next run, in place of what it has kept before: JSON. */
  checkpoint(value: unknown): void;
}

export interface Run {
  /** The number of the thread that the call was given to. */
  readonly thread: number;
  /** Asks the run to stop, and after the runner's grace period makes it stop. Calling it again does nothing. */
  stop(): void;
}

/** A place where calls run: threads of this process, or of another. */
export interface Runner {
  /** Why the call will not be run, for now; undefined where it will. */
  refusal(call: Call): string | undefined;
  /** How many calls of this lane would start at once. */
  room(lane: Lane): number;
  /**
   * Starts a call. Only where there is {@link room}.
   * @param taskId names the run to the tool, and in what the runner logs
   */
  start(taskId: string, call: Call, attempt: Attempt, hooks: RunHooks): Run;
  /** Called whenever a place in a lane has become free. Set once, by the engine. */
  onRoom: (lane: Lane) => void;
  /** Stops every run at once, and resolves when the threads have ended. */
  close(): Promise<void>;
}
