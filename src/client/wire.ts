import type { Client } from '@modelcontextprotocol/sdk/client/index.js';
import type { CallToolResult, Tool } from '@modelcontextprotocol/sdk/types.js';
import type { Ending } from './ending.ts';
import type { ProgressTokens } from './progress-tokens.ts';
import type { TaskSnapshot } from './snapshot.ts';
import type { StatusFeed } from './status-feed.ts';

/** The generations of the protocol that the client speaks, each by the revision that it is named after. */
export type ProtocolRevision = '2025-11-25' | '2026-07-28';

/** How a tool is called: as a task, or by a request that waits for the result. */
export type Mode = 'task' | 'call';

/** A tool call to make. */
export interface Call {
  name: string;
  args: Record<string, unknown> | undefined;
  /** How it would be made, where the tool can be called both ways, and the client decides. */
  wish: Mode;
  /** The lifetime to ask for, in milliseconds, where the client may. */
  ttl: number | undefined;
  progressToken: string | undefined;
  idempotencyKey: string | undefined;
}

/** A task that the server has acknowledged. */
export type CreatedTask = TaskSnapshot & { taskId: string };

/** What became of a call: a task, or the result already. */
export type Started = { task: CreatedTask } | { result: CallToolResult };

/**
 * Whether the server says by itself what becomes of a task, so that it need not be polled: `no`; not known
 * yet, because it has been asked to and has not answered; or `yes`.
 */
export type Push = 'no' | 'pending' | 'yes';

/** Learns what a server says of a task by itself. */
export interface Watcher {
  seen(task: TaskSnapshot): void;
  /** How it is from now on (before that, `no`), and that the task may have changed unheard. */
  pushed(push: Push): void;
}

/**
 * What the client and its handles need of a server: one contract, with one implementation for each
 * generation of the protocol. Failures are those that the handles document.
 */
export interface Wire {
  readonly protocol: ProtocolRevision;
  /** The SDK's client, where the wire is made of it. */
  readonly sdk: Client | undefined;
  /** What reports on the connection's requests. */
  readonly progress: ProgressTokens;
  /** When the connection is closed, and why. */
  readonly ending: Ending;

  listTools(): Promise<Tool[]>;
  listTasks(): Promise<TaskSnapshot[]>;
  ping(): Promise<void>;

  /**
   * Calls a tool.
   * @param onMode is told how it is called, once that is sure and while there is no answer
   * @param signal takes a call back that is no task; never one that is known to become a task
   */
  call(call: Call, onMode: (mode: Mode) => void, signal: AbortSignal): Promise<Started>;

  getTask(taskId: string): Promise<TaskSnapshot>;
  /** Cancels a task, and resolves with its end, whichever it is. */
  cancelTask(taskId: string, feed: StatusFeed): Promise<TaskSnapshot>;
  /** The result of a task, once it has ended; meanwhile, the server's questions are answered. */
  taskResult(taskId: string, feed: StatusFeed, signal: AbortSignal): Promise<CallToolResult>;
  /**
   * Brings what the server says of a task by itself, be it nothing. Returns what ends it; before that, no
   * more than {@link Watcher.pushed} is called.
   */
  watch(taskId: string, watcher: Watcher): () => void;

  /** Rejects all that is pending, closes the connection, and waits for the end of a child that was started. */
  close(): Promise<void>;
}
