import type { ProtocolError } from '../errors.ts';
import type { PendingQuestion, Question } from './question.ts';
import type { LogEntry, Progress, Task } from './task.ts';

/** A task with what is known only while it is alive. */
export interface TaskView {
  readonly task: Task;
  /** How many tasks start before it; while it is queued. */
  readonly ahead?: number;
  /** The last report; while it runs. */
  readonly progress?: Progress;
  /** What it waits for; while it requires input. */
  readonly questions?: readonly PendingQuestion[];
}

/** Who follows a run. Each method is called when there is something to say, never on a timer. */
export interface RunObserver {
  /** It is being followed from now on; `view` gives at any time how the task stands. */
  attached?(view: () => TaskView): void;
  progress?(progress: Progress): void;
  log?(entries: readonly LogEntry[]): void;
  /** Why who started the run cannot be asked this; undefined where they can. It is answered with that, and nobody is asked. */
  refusal?(question: Question): string | undefined;
  /** The run has a question that nobody is putting; again when who put it has given it back. */
  asked?(question: PendingQuestion): void;
}

/** Who follows a task, too. */
export interface Observer extends RunObserver {
  /** The task is in another state, and the store has it. */
  status?(view: TaskView): void;
  /** Nothing more comes: the task has expired, or else for this reason. */
  gone?(reason?: ProtocolError): void;
}
