import type { JSONRPCMessage, RequestId, Transport } from '@modelcontextprotocol/server';
import { serveStdio } from '@modelcontextprotocol/server/stdio';
import { hasTasks, missingTasks, type Requests } from './2026-07-28.ts';
import { acknowledges, taskListenOf, withTasks, type TaskListen } from './2026-07-28-listen.ts';
import { TaskSubscription } from './2026-07-28-subscription.ts';
import type { Service } from './service.ts';

/** Where messages of one peer come from and go to. */
export interface Channel {
  send(message: JSONRPCMessage): Promise<void>;
}

/** Answers 2026-07-28 over a channel that stays, such as stdio. */
export class ChannelEndpoint {
  readonly #service: Service;
  readonly #channel: Channel;
  readonly #closed: () => void;
  readonly #transport: Transport;
  readonly #handle: { close(): Promise<void> };
  /** Requests to hear of tasks that the SDK has not acknowledged yet. */
  readonly #pending = new Map<RequestId, TaskListen>();
  readonly #subscriptions = new Map<RequestId, TaskSubscription>();

  /** @param closed called when it has closed */
  constructor(service: Service, requests: Requests, channel: Channel, closed: () => void) {
    this.#service = service;
    this.#closed = closed;
    this.#channel = channel;
    this.#transport = {
      start: async () => {},
      send: (message) => this.#send(message),
      close: async () => this.#transport.onclose?.(),
    };
    this.#handle = serveStdio(() => requests.server(), {
      legacy: 'reject',
      transport: this.#transport,
      onerror: (error) => service.log.info({ err: error }, 'a request was not served'),
    });
  }

  receive(message: JSONRPCMessage): void {
    const listen = taskListenOf(message);
    if (listen !== undefined) this.#pending.set(listen.id, listen);
    const { method, params } = message as { method?: string; params?: { requestId?: RequestId } };
    if (method === 'notifications/cancelled' && params?.requestId !== undefined) this.#end(params.requestId);
    this.#transport.onmessage?.(message);
  }

  /** Ends what is still under way; those who listen are told. */
  async close(): Promise<void> {
    await this.#handle.close();
    for (const id of [...this.#subscriptions.keys()]) this.#end(id);
    this.#closed();
  }

  async #send(message: JSONRPCMessage): Promise<void> {
    const acknowledged = acknowledges(message);
    const listen = acknowledged === undefined ? undefined : this.#pending.get(acknowledged);
    if (listen !== undefined && 'method' in message) return this.#listen(listen, message);
    // An answer: it is refused, or over.
    if ('id' in message && message.id !== undefined && !('method' in message)) this.#end(message.id);
    return this.#channel.send(message);
  }

  async #listen(
    { id, taskIds, capabilities }: TaskListen,
    acknowledgement: Parameters<typeof withTasks>[0],
  ): Promise<void> {
    if (!hasTasks(capabilities)) {
      this.#pending.delete(id);
      // To the SDK it is one that the client has cancelled.
      this.#transport.onmessage?.({
        jsonrpc: '2.0',
        method: 'notifications/cancelled',
        params: { requestId: id },
      });
      const { code, message, data } = missingTasks();
      return this.#channel.send({ jsonrpc: '2.0', id, error: { code, message, data } });
    }
    const send = (message: JSONRPCMessage) => void this.#channel.send(message).catch(() => {});
    const owner = this.#service.ownerOf({});
    const subscription = await TaskSubscription.open(this.#service, owner, id, taskIds, send);
    // It may have been cancelled meanwhile.
    if (!this.#pending.delete(id)) return subscription.close();
    this.#subscriptions.set(id, subscription);
    await this.#channel.send(withTasks(acknowledgement, subscription.taskIds));
    subscription.acknowledged();
  }

  #end(id: RequestId): void {
    this.#pending.delete(id);
    this.#subscriptions.get(id)?.close();
    this.#subscriptions.delete(id);
  }
}
