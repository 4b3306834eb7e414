import type { Server } from '@modelcontextprotocol/sdk/server/index.js';
import type { Transport } from '@modelcontextprotocol/sdk/shared/transport.js';
import type { LoggingLevel, RequestId } from '@modelcontextprotocol/sdk/types.js';
import type { Log } from '../tasks/log.ts';
import type { Observer, TaskView } from '../tasks/observer.ts';
import type { PendingQuestion } from '../tasks/question.ts';
import { isTerminal, type LogEntry, type Progress } from '../tasks/task.ts';
import { ask, type SendRequest } from './2025-11-25-ask.ts';
import { encodeTask, relatedTask } from './2025-11-25-encode.ts';
import { isSevere } from './log-levels.ts';
import { incapable } from './questions.ts';
import { encodeProgress } from './status.ts';

type ProgressToken = string | number;

/** How long a question waits for a `tasks/result` request, on whose stream it belongs. */
const ASK_MS = 1000;
/** Of a task that ends sooner, only the end is told: most servers have many such. */
const SHORT_TASK_MS = 10;

/** Sends a connection's notifications. */
export class Notifier {
  /** The least severe log messages that the client wants. */
  level: LoggingLevel = 'debug';
  readonly #server: Server;
  readonly #log: Log;
  /** Those whose task has just started, and what is to be told of that if it does not end at once. */
  #started = new Map<Follower, () => void>();

  constructor(server: Server, log: Log) {
    this.#server = server;
    this.#log = log;
  }

  get transport(): Transport | undefined {
    return this.#server.transport;
  }

  /** It carries the id itself, and so no related-task metadata (tasks, "Task Notifications" 3). */
  status(view: TaskView): void {
    this.#send('notifications/tasks/status', encodeTask(view));
  }

  /** Tells of a start a little later, unless told to forget it first. */
  startedSoon(follower: Follower, tell: () => void): void {
    if (this.#started.size === 0) setTimeout(() => this.#tellStarted(), SHORT_TASK_MS);
    this.#started.set(follower, tell);
  }

  forgetStart(follower: Follower): void {
    this.#started.delete(follower);
  }

  #tellStarted(): void {
    const started = [...this.#started.values()];
    this.#started.clear();
    for (const tell of started) tell();
  }

  /** Of a plain call, on the stream of its request where the transport has one. */
  callProgress(token: ProgressToken, progress: Progress, request: RequestId): void {
    this.#send('notifications/progress', encodeProgress(token, progress), request);
  }

  /** The token stays valid for the life of the task (tasks, "Task Progress Notifications"). */
  taskProgress(token: ProgressToken, progress: Progress, taskId: string): void {
    const params = { ...encodeProgress(token, progress), _meta: relatedTask(taskId) };
    this.#send('notifications/progress', params);
  }

  callLog(tool: string, entries: readonly LogEntry[], request: RequestId): void {
    for (const entry of this.#wanted(entries)) {
      this.#send('notifications/message', { ...entry, logger: tool }, request);
    }
  }

  taskLog(tool: string, entries: readonly LogEntry[], taskId: string): void {
    for (const entry of this.#wanted(entries)) {
      this.#send('notifications/message', { ...entry, logger: tool, _meta: relatedTask(taskId) });
    }
  }

  askLater(pending: PendingQuestion, taskId: string): void {
    const problem = incapable(pending.question, this.#server.getClientCapabilities());
    if (problem !== undefined) return pending.answer({ type: 'error', message: problem });
    const { transport } = this.#server;
    setTimeout(() => {
      if (!pending.isOpen || transport === undefined || this.#server.transport !== transport) return;
      const send = this.#server.request.bind(this.#server) as SendRequest;
      void ask(pending, send, relatedTask(taskId), undefined);
    }, ASK_MS);
  }

  #wanted(entries: readonly LogEntry[]): { level: string; data: string }[] {
    return entries
      .filter(({ level }) => isSevere(level, this.level))
      .map(({ level, message }) => ({ level, data: message }));
  }

  /** A notification that cannot be delivered is lost: who missed it asks for the task. */
  #send(method: string, params: Record<string, unknown>, relatedRequestId?: RequestId): void {
    if (this.#server.transport === undefined) return;
    const options = relatedRequestId === undefined ? {} : { relatedRequestId };
    this.#server.notification({ method, params }, options).catch((error: unknown) => {
      this.#log.warn({ err: error, method }, 'a notification was not delivered');
    });
  }
}

/**
 * Follows a task for the connection that creates it. What happens before the acknowledgement has been
 * sent is held back, so that a client hears of no task that it does not know yet. Another client that
 * is connected later hears nothing.
 */
export class Follower implements Observer {
  readonly #notifier: Notifier;
  readonly #transport: Transport | undefined;
  readonly #tool: string;
  readonly #token: ProgressToken | undefined;
  readonly #ended: (taskId: string) => void;
  #taskId: string | undefined;
  #held: (() => void)[] | undefined = [];
  #hasStarted = false;

  /** @param ended called once there is nothing more to tell */
  constructor(
    notifier: Notifier,
    tool: string,
    token: ProgressToken | undefined,
    ended: (taskId: string) => void,
  ) {
    this.#notifier = notifier;
    this.#transport = notifier.transport;
    this.#tool = tool;
    this.#token = token;
    this.#ended = ended;
  }

  /** Says that the acknowledgement is about to be sent. */
  acknowledged(taskId: string): void {
    this.#taskId = taskId;
    setImmediate(() => {
      const held = this.#held ?? [];
      this.#held = undefined;
      for (const tell of held) tell();
    });
  }

  status(view: TaskView): void {
    if (view.task.state === 'running' && !this.#hasStarted) {
      this.#hasStarted = true;
      this.#notifier.startedSoon(this, () => this.#tell(() => this.#notifier.status(view)));
      return;
    }
    this.#notifier.forgetStart(this);
    this.#tell(() => this.#notifier.status(view));
    if (isTerminal(view.task)) this.#tell(this.#ended);
  }

  progress(progress: Progress): void {
    const token = this.#token;
    if (token !== undefined) this.#tell((taskId) => this.#notifier.taskProgress(token, progress, taskId));
  }

  log(entries: readonly LogEntry[]): void {
    this.#tell((taskId) => this.#notifier.taskLog(this.#tool, entries, taskId));
  }

  /**
   * Puts a question on the standalone stream where nobody asks for the result: some clients never do while
   * input is required. A client that cannot be asked is not waited for.
   */
  asked(pending: PendingQuestion): void {
    this.#tell((taskId) => this.#notifier.askLater(pending, taskId));
  }

  gone(): void {
    this.#notifier.forgetStart(this);
    this.#tell(this.#ended);
  }

  #tell(tell: (taskId: string) => void): void {
    const now = () => {
      if (this.#notifier.transport === this.#transport) tell(this.#taskId!);
      else this.#ended(this.#taskId!);
    };
    if (this.#held === undefined) now();
    else this.#held.push(now);
  }
}
