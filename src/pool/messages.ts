import type { Answer, Question } from '../tasks/question.ts';
import type { Call, LogEntry, Outcome, Progress } from '../tasks/task.ts';

/**
 * Both sides of the thread boundary. Every thread has one port for as long as it lives, and each
 * message on it names its task. All of it can be serialised, so the threads may as well be in
 * another process.
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

/** A question; `ask` tells it from the others of its task. */
export interface Ask {
  readonly ask: number;
  readonly question: Question;
}

/** To the thread. */
export type ToThread =
  | {
      readonly type: 'run';
      readonly taskId: string;
      readonly tool: string;
      /** The module's URL. */
      readonly module: string;
      readonly args: Readonly<Record<string, unknown>>;
      readonly prepare?: Call['prepare'];
      readonly prepared?: Call['prepared'];
      /** The task's cell in {@link Lease.flags}. */
      readonly place: number;
    }
  | { readonly type: 'cancel'; readonly taskId: string; readonly place: number }
  | { readonly type: 'answer'; readonly taskId: string; readonly ask: number; readonly answer: Answer }
  /** Asks for what the thread holds, in {@link Lease.memory}. */
  | { readonly type: 'measure' };

/** From the thread. */
export type FromThread =
  | { readonly type: 'ready' }
  | { readonly type: 'progress'; readonly taskId: string; readonly progress: Progress }
  | { readonly type: 'log'; readonly taskId: string; readonly entries: readonly LogEntry[] }
  /** The thread has seen a cancellation: its event loop turns. */
  | { readonly type: 'cancelling'; readonly taskId: string }
  /** The task waits for answers: all that it has asked at once. */
  | { readonly type: 'ask'; readonly taskId: string; readonly asks: readonly Ask[] }
  | {
      readonly type: 'finished';
      readonly taskId: string;
      readonly outcome: Outcome;
      /** Where the tool threw, for the operator. */
      readonly stack?: string;
    }
  /** An exception or a rejection that nobody caught; of no call, where it comes from what a module does by itself. */
  | {
      readonly type: 'fault';
      readonly call?: { readonly taskId: string; readonly tool: string };
      readonly message: string;
      readonly stack: string;
    };
