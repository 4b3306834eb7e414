import {
  ProgressNotificationSchema,
  type ClientCapabilities,
  type Implementation,
  type JSONRPCNotification,
  type RequestId,
  type Result,
} from '@modelcontextprotocol/sdk/types.js';
import { Ending } from '../ending.ts';
import { ConnectionClosedError, InvalidAnswerError, TaskError } from '../errors.ts';
import { withinLimits, type Limits } from '../limits.ts';
import { ProgressTokens } from '../progress-tokens.ts';
import { parseAnswer, type Schema } from '../schema.ts';
import type { Channel, Response } from './channel.ts';
import { META, REVISION, SUBSCRIPTION_META } from './names.ts';

type Params = Record<string, unknown>;

export interface RequestOptions extends Limits {
  headers?: Readonly<Record<string, string>> | undefined;
  /** Gets a result that crossed with the request's being taken back. */
  late?: (result: Result) => void;
}

/** A notification of one subscription. */
export type SubscriptionListener = (method: string, params: Params) => void;

/** Who the client is, and what it can do: every request says so anew (basic, "Statelessness"). */
export interface Identity {
  clientInfo: Implementation;
  clientCapabilities: ClientCapabilities & { extensions: Record<string, object> };
}

/** Requests over one channel, and the notifications that come with them, brought to whom they concern. */
export class Connection {
  readonly progress = new ProgressTokens();
  readonly ending = new Ending();
  readonly hasHeaders: boolean;
  readonly #channel: Channel;
  readonly #envelope: Params;
  readonly #onError: (error: Error) => void;
  readonly #subscriptions = new Map<RequestId, SubscriptionListener>();
  #lastId = 0;

  constructor(
    channel: Channel,
    { clientInfo, clientCapabilities }: Identity,
    onError: (error: Error) => void,
  ) {
    this.#channel = channel;
    this.hasHeaders = channel.hasHeaders;
    this.#onError = onError;
    this.#envelope = {
      [META.protocolVersion]: REVISION,
      [META.clientInfo]: clientInfo,
      [META.clientCapabilities]: clientCapabilities,
    };
    this.ending.on(() => this.progress.clear());
  }

  open(): Promise<void> {
    return this.#channel.open({
      notified: (notification, requestId) => this.#notified(notification, requestId),
      closed: () => this.ending.end(new ConnectionClosedError('The server has closed the connection')),
      failed: (error) => this.fail(error),
    });
  }

  /** Tells of an error that concerns no request. */
  fail(error: Error): void {
    if (this.ending.error === undefined) this.#onError(error);
  }

  /**
   * @throws {TaskError} the server's JSON-RPC error
   * @throws {InvalidAnswerError} when the answer does not fit the schema, or is of another type
   * @throws what {@link withinLimits} throws, and what the channel does
   */
  async request<T>(
    method: string,
    params: Params,
    schema: Schema<T>,
    options: RequestOptions = {},
  ): Promise<T> {
    const result = await this.ask(method, params, options);
    const { resultType = 'complete' } = result as { resultType?: unknown };
    if (resultType === 'complete') return parseAnswer(method, schema, result);
    throw new InvalidAnswerError(
      `${method}: the server's answer has an unknown resultType: ${JSON.stringify(resultType)}`,
    );
  }

  /** A request whose result may be of several types ("ResultType"). Throws as {@link request} does. */
  ask(method: string, params: Params, options: RequestOptions = {}): Promise<Result> {
    return this.#send(++this.#lastId, method, params, options);
  }

  /**
   * Opens a stream of notifications (subscriptions). Resolves when the server ends it, and throws as
   * {@link request} does.
   */
  async subscribe(notifications: Params, listener: SubscriptionListener, signal: AbortSignal): Promise<void> {
    const id = ++this.#lastId;
    this.#subscriptions.set(id, listener);
    try {
      await this.#send(id, 'subscriptions/listen', { notifications }, { signal });
    } finally {
      this.#subscriptions.delete(id);
    }
  }

  /** Rejects all that is pending, and closes the channel. */
  async close(): Promise<void> {
    this.ending.end(new ConnectionClosedError('The client is closed'));
    await this.#channel.close();
  }

  #send(id: number, method: string, params: Params, options: RequestOptions): Promise<Result> {
    const { headers, late } = options;
    return withinLimits(method, options, this.ending, async ({ signal }) => {
      const meta = { ...(params['_meta'] as object | undefined), ...this.#envelope };
      const request = { jsonrpc: '2.0' as const, id, method, params: { ...params, _meta: meta } };
      const response = await this.#channel.send(request, {
        signal,
        headers,
        late: late && ((response) => 'result' in response && late(response.result)),
      });
      return resultOf(response, params['taskId']);
    });
  }

  #notified({ method, params = {} }: JSONRPCNotification, requestId: RequestId | undefined): void {
    if (method === 'notifications/progress') {
      const progress = ProgressNotificationSchema.safeParse({ method, params });
      if (progress.success) this.progress.bring(progress.data.params);
      else this.fail(new InvalidAnswerError(`${method} is malformed: ${progress.error.message}`));
      return;
    }
    // The one thing that a server cancels is a subscription (cancellation, "Behavior Requirements" 2).
    const cancelled = method === 'notifications/cancelled' ? params['requestId'] : undefined;
    const subscription = cancelled ?? params._meta?.[SUBSCRIPTION_META] ?? requestId;
    this.#subscriptions.get(subscription as RequestId)?.(method, params);
  }
}

function resultOf(response: Response, taskId: unknown): Result {
  if ('result' in response) return response.result;
  const { code, message, data } = response.error;
  throw new TaskError(code, message, { data, ...(typeof taskId === 'string' && { taskId }) });
}
