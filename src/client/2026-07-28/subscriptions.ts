import { InvalidAnswerError, TaskError, isPassing } from '../errors.ts';
import type { Push, Watcher } from '../wire.ts';
import type { Connection } from './connection.ts';
import { AcknowledgedSchema } from './schemas.ts';

/** Before a stream that was lost is opened again; doubled from loss to loss. */
const PAUSE_MS = 1000;
const MAX_PAUSE_MS = 60_000;

/** One `subscriptions/listen` request. */
interface Stream {
  readonly stop: AbortController;
  /** What it is, or will be, asked for. */
  readonly taskIds: Set<string>;
  isSent: boolean;
  /** What the server agreed to, once it has. */
  acknowledged: ReadonlySet<string> | undefined;
}

/**
 * Has the server say by itself what becomes of tasks, while somebody watches them (ext-tasks, "Task Status
 * Notifications"). All tasks share one stream. It cannot take up more of them, so when there are, another is
 * opened for all, and takes over when the server acknowledges it; what comes meanwhile waits for the one
 * after that.
 *
 *   none -> opening -> current -> (lost: a pause, then opening)
 *                      current, opening -> current
 */
export class Subscriptions {
  readonly #connection: Connection;
  readonly #notified: (params: unknown) => void;
  readonly #watchers = new Map<string, Set<Watcher>>();
  #current: Stream | undefined;
  #opening: Stream | undefined;
  #pause: NodeJS.Timeout | undefined;
  #losses = 0;
  #isSupported: boolean;

  /**
   * @param isSupported whether to ask the server at all
   * @param notified takes the parameters of a `notifications/tasks`
   */
  constructor(connection: Connection, isSupported: boolean, notified: (params: unknown) => void) {
    this.#connection = connection;
    this.#isSupported = isSupported;
    this.#notified = notified;
    connection.ending.on(() => {
      this.#watchers.clear();
      this.#rest();
    });
  }

  watch(taskId: string, watcher: Watcher): () => void {
    const watchers = this.#watchers.get(taskId) ?? new Set();
    this.#watchers.set(taskId, watchers.add(watcher));
    this.#adjust();
    const push = this.#pushOf(taskId);
    if (push !== 'no') watcher.pushed(push);
    return () => {
      watchers.delete(watcher);
      if (watchers.size > 0 || this.#watchers.get(taskId) !== watchers) return;
      this.#watchers.delete(taskId);
      this.#adjust();
    };
  }

  watchersOf(taskId: string): Watcher[] {
    return [...(this.#watchers.get(taskId) ?? [])];
  }

  /** The task may have changed unheard. */
  poke(taskId: string): void {
    for (const watcher of this.watchersOf(taskId)) watcher.pushed(this.#pushOf(taskId));
  }

  #pushOf(taskId: string): Push {
    if (this.#current?.acknowledged?.has(taskId)) return 'yes';
    return this.#opening?.taskIds.has(taskId) ? 'pending' : 'no';
  }

  #adjust(): void {
    if (this.#watchers.size === 0) return this.#rest();
    if (!this.#isSupported || this.#pause !== undefined) return;
    if (this.#opening?.isSent) return;
    const taskIds = [...this.#watchers.keys()];
    if (this.#opening !== undefined) for (const taskId of taskIds) this.#opening.taskIds.add(taskId);
    else if (!taskIds.every((taskId) => this.#current?.taskIds.has(taskId))) this.#open(taskIds);
  }

  /** Not before who watches can hear of it; and who comes until then comes along. */
  #open(taskIds: readonly string[]): void {
    const stream: Stream = {
      stop: new AbortController(),
      taskIds: new Set(taskIds),
      isSent: false,
      acknowledged: undefined,
    };
    this.#opening = stream;
    queueMicrotask(() => {
      stream.isSent = true;
      if (stream === this.#opening) this.#subscribe(stream);
    });
  }

  #subscribe(stream: Stream): void {
    const { stop, taskIds } = stream;
    const listener = (method: string, params: Record<string, unknown>) => {
      if (method === 'notifications/tasks') this.#notified(params);
      else if (method === 'notifications/subscriptions/acknowledged') this.#acknowledge(stream, params);
      else if (method === 'notifications/cancelled') stop.abort(new Error('The server ended the stream'));
    };
    this.#connection.subscribe({ taskIds: [...taskIds] }, listener, stop.signal).then(
      () => this.#lose(stream, undefined),
      (error: unknown) => this.#lose(stream, error),
    );
  }

  #acknowledge(stream: Stream, params: unknown): void {
    if (stream !== this.#opening) return;
    const parsed = AcknowledgedSchema.safeParse(params);
    if (!parsed.success) {
      const error = `The acknowledgement of a subscription is malformed: ${parsed.error.message}`;
      return stream.stop.abort(new InvalidAnswerError(error));
    }
    stream.acknowledged = new Set(parsed.data.notifications.taskIds);
    const before = this.#current;
    this.#current = stream;
    this.#opening = undefined;
    this.#losses = 0;
    before?.stop.abort();
    // What changed before the acknowledgement went unheard, unless the stream before brought it.
    for (const taskId of stream.taskIds) {
      const isHeard = before?.acknowledged?.has(taskId) === true && stream.acknowledged.has(taskId);
      if (!isHeard) this.poke(taskId);
    }
    this.#adjust();
  }

  #lose(stream: Stream, error: unknown): void {
    if (stream !== this.#current && stream !== this.#opening) return;
    if (stream === this.#current) this.#current = undefined;
    else this.#opening = undefined;
    if (error instanceof TaskError || error instanceof InvalidAnswerError) {
      // It has no such method, or does not notify of tasks.
      this.#isSupported = false;
    } else if (error === undefined || isPassing(error)) {
      this.#pause ??= setTimeout(
        () => {
          this.#pause = undefined;
          this.#adjust();
        },
        Math.min(PAUSE_MS * 2 ** this.#losses++, MAX_PAUSE_MS),
      );
    } else {
      this.#isSupported = false;
      this.#connection.fail(error as Error);
    }
    for (const taskId of stream.taskIds) if (this.#pushOf(taskId) !== 'yes') this.poke(taskId);
  }

  /** Nobody watches anything. */
  #rest(): void {
    clearTimeout(this.#pause);
    this.#pause = undefined;
    const streams = [this.#current, this.#opening];
    this.#current = undefined;
    this.#opening = undefined;
    for (const stream of streams) stream?.stop.abort();
  }
}
