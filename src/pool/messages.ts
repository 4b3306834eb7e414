import type { Answer, Question } from '../tasks/question.ts';
import type { Call, LogEntry, Outcome, Progress } from '../tasks/task.ts';

/**
 * Both sides of the thread boundary. Every thread has one port for as long as it lives, and each
 * message on it names its run: of one task there may be two on a shared thread, the second started while the first,
 * out of time, has not stopped yet. All of it can be serialised, so the threads may as well be in another process.
 */

/** What a thread is started with. */
export interface Lease {
  readonly port: import('node:worker_threads').MessagePort;
  /** One cell for each place of the thread: 1 once the task in that place is to stop. */
  readonly flags: Int32Array;
  /** One cell that counts the messages to the thread, which may sleep on it. */
  readonly posted: Int32Array;
  /** See {@link MEMORY}. */
  readonly memory: Int32Array;
  /** Whether the thread serves one task at a time. */
  readonly alone: boolean;
  /** How large a result may be, where its tool says nothing else. */
  readonly maxResultMb: number;
}

/** The cells of {@link Lease.memory}: what the thread holds, in megabytes, and whether that was asked for. */
export const MEMORY = { held: 0, asked: 1 } as const;

/** A question; `ask` tells it from the others of its run. */
export interface Ask {
  readonly ask: number;
  readonly question: Question;
}

/** To the thread. */
export type ToThread =
  | {
      readonly type: 'run';
      /** Tells it from all other runs of the thread. */
      readonly run: number;
      readonly taskId: string;
      /** Which run of the task it is, from 1. */
      readonly attempt: number;
      /** What the run before has kept: JSON, as text. */
      readonly checkpoint?: string;
      readonly tool: string;
      /** The module's URL. */
      readonly module: string;
      readonly args: Readonly<Record<string, unknown>>;
      readonly prepare?: Call['prepare'];
      readonly prepared?: Call['prepared'];
      /** The run's cell in {@link Lease.flags}. */
      readonly place: number;
    }
  | { readonly type: 'cancel'; readonly run: number; readonly place: number }
  | { readonly type: 'answer'; readonly run: number; readonly ask: number; readonly answer: Answer }
  /** Asks for what the thread holds, in {@link Lease.memory}. */
  | { readonly type: 'measure' };

/** From the thread. */
export type FromThread =
  | { readonly type: 'ready' }
  | { readonly type: 'progress'; readonly run: number; readonly progress: Progress }
  | { readonly type: 'log'; readonly run: number; readonly entries: readonly LogEntry[] }
  /** JSON, as text: whoever passes it on need not take it apart. */
  | { readonly type: 'checkpoint'; readonly run: number; readonly json: string }
  /** The thread has seen a cancellation: its event loop turns. */
  | { readonly type: 'cancelling'; readonly run: number }
  /** The run waits for answers: all that it has asked at once. */
  | { readonly type: 'ask'; readonly run: number; readonly asks: readonly Ask[] }
  | {
      readonly type: 'finished';
      readonly run: number;
      readonly outcome: Outcome;
      /** The tool threw, and does not say that it would do so again. */
      readonly mayRepeat?: boolean;
      /** Where the tool threw, for the operator. */
      readonly stack?: string;
    }
  /** An exception or a rejection that nobody caught; of no call, where it comes from what a module does by itself. */
  | {
      readonly type: 'fault';
      readonly call?: { readonly run: number; readonly taskId: string; readonly tool: string };
      /** The call's tool does not say that it would happen again. */
      readonly mayRepeat?: boolean;
      readonly message: string;
      readonly stack: string;
    };
