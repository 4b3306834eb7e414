import type { Answer, Question } from './question.ts';
import type { Call, Lane, LogEntry, Outcome, Progress } from './task.ts';

/** What a run reports: never from within `start`, and nothing after `finished`, which comes exactly once. */
export interface RunHooks {
  progress(progress: Progress): void;
  log(entries: readonly LogEntry[]): void;
  /** It waits for an answer; `reply` may never be called. */
  ask(question: Question, reply: (answer: Answer) => void): void;
  finished(outcome: Outcome): void;
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
  start(taskId: string, call: Call, hooks: RunHooks): Run;
  /** Called whenever a place in a lane has become free. Set once, by the engine. */
  onRoom: (lane: Lane) => void;
  /** Stops every run at once, and resolves when the threads have ended. */
  close(): Promise<void>;
}
