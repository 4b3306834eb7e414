import {
  SUBSCRIPTION_ID_META_KEY,
  type JSONRPCNotification,
  type RequestId,
} from '@modelcontextprotocol/server';
import { RefusedError, UnknownTaskError } from '../errors.ts';
import type { Observer, TaskView } from '../tasks/observer.ts';
import { encodeDetailed } from './2026-07-28-encode.ts';
import type { Service } from './service.ts';

/** What one `subscriptions/listen` hears of tasks (ext-tasks, "Task Status Notifications"). */
export class TaskSubscription {
  readonly #service: Service;
  readonly #id: RequestId;
  readonly #send: (notification: JSONRPCNotification) => void;
  readonly #followed = new Map<string, Observer>();
  /** What is to be sent once the subscription has been acknowledged. */
  #held: (() => void)[] | undefined = [];

  private constructor(service: Service, id: RequestId, send: (notification: JSONRPCNotification) => void) {
    this.#service = service;
    this.#id = id;
    this.#send = send;
  }

  /**
   * Follows those of the tasks that the owner has.
   * @param id   of the request, which the subscription is called by
   * @param send is not called before {@link acknowledged}
   */
  static async open(
    service: Service,
    owner: string,
    id: RequestId,
    taskIds: readonly string[],
    send: (notification: JSONRPCNotification) => void,
  ): Promise<TaskSubscription> {
    const subscription = new TaskSubscription(service, id, send);
    for (const taskId of new Set(taskIds)) await subscription.#follow(owner, taskId);
    return subscription;
  }

  /** The tasks that it hears of. */
  get taskIds(): string[] {
    return [...this.#followed.keys()];
  }

  /** Says that the acknowledgement has been sent. Each task is told of as it is now, and then at every change. */
  acknowledged(): void {
    const held = this.#held ?? [];
    this.#held = undefined;
    for (const tell of held) tell();
  }

  close(): void {
    for (const [taskId, observer] of this.#followed) this.#service.engine.unobserve(taskId, observer);
    this.#followed.clear();
  }

  async #follow(owner: string, taskId: string): Promise<void> {
    const { engine, lookUps } = this.#service;
    /** The questions that have been told. */
    const told = new Set<string>();
    const tell = (view: TaskView) => {
      for (const { key } of view.questions ?? []) told.add(key);
      this.#tell(view);
    };
    const observer: Observer = {
      status: tell,
      // One more, while it waits for others already.
      asked: ({ key }) => {
        if (!told.has(key)) engine.get(owner, taskId).then(tell, () => {});
      },
    };
    try {
      const view = await lookUps.make(owner, () => engine.follow(owner, taskId, observer));
      this.#followed.set(taskId, observer);
      tell(view);
    } catch (error) {
      // It is not among those that are acknowledged.
      if (!(error instanceof UnknownTaskError || error instanceof RefusedError)) throw error;
    }
  }

  #tell(view: TaskView): void {
    const task = encodeDetailed(view);
    const now = () => {
      const meta = { ...(task['_meta'] as object), [SUBSCRIPTION_ID_META_KEY]: this.#id };
      this.#send({ jsonrpc: '2.0', method: 'notifications/tasks', params: { ...task, _meta: meta } });
    };
    if (this.#held === undefined) now();
    else this.#held.push(now);
  }
}
