import { InMemoryTransport } from '@modelcontextprotocol/sdk/inMemory.js';
import type { AuthInfo } from '@modelcontextprotocol/sdk/server/auth/types.js';
import type { TaskServer } from 'mcp-taskpool';
import { onTestFinished } from 'vitest';
import type { Json } from './peer.ts';

export const TASKS = 'io.modelcontextprotocol/tasks';
export const SUBSCRIPTION_ID = 'io.modelcontextprotocol/subscriptionId';
/** What a client of the tasks extension declares, which answers every question. */
export const ALL = { extensions: { [TASKS]: {} }, elicitation: { form: {}, url: {} }, sampling: {} };

export interface RequestOptions {
  readonly capabilities?: Json;
  readonly signal?: AbortSignal;
  readonly meta?: Json;
  /** Sent beside the usual ones, or in their place; over HTTP. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly authInfo?: AuthInfo;
}

/** An answer, with what came on its stream before it. */
export interface Answer {
  readonly result?: Json;
  readonly error?: Json;
  readonly notifications: Json[];
}

/** A client that speaks 2026-07-28 in plain JSON-RPC. */
export interface ModernPeer {
  request(method: string, params?: Json, options?: RequestOptions): Promise<Answer>;
  /** Listens to tasks; `next` gives the messages one after the other, and undefined once it has ended. */
  listen(
    filter: Json,
    options?: RequestOptions,
  ): Promise<{ next: () => Promise<Json | undefined>; stop: () => void }>;
}

export type Kind = 'HTTP' | 'a channel';

export async function modernPeer(kind: Kind, server: TaskServer): Promise<ModernPeer> {
  return kind === 'HTTP' ? overHttp(server) : overChannel(server);
}

let lastId = 0;

function messageOf(method: string, params: Json, { capabilities = ALL, meta }: RequestOptions): Json {
  return {
    jsonrpc: '2.0',
    id: ++lastId,
    method,
    params: {
      ...params,
      _meta: {
        'io.modelcontextprotocol/protocolVersion': '2026-07-28',
        'io.modelcontextprotocol/clientInfo': { name: 'peer', version: '1' },
        'io.modelcontextprotocol/clientCapabilities': capabilities,
        ...meta,
      },
    },
  };
}

/** The answer as it came over HTTP, read as its messages come. */
export async function send(
  server: TaskServer,
  message: Json,
  { headers = {}, signal, authInfo }: RequestOptions = {},
): Promise<Response> {
  const { method, params = {} } = message as { method: string; params?: Json };
  const name = (params['name'] ?? params['taskId']) as string | undefined;
  const request = new Request('http://127.0.0.1/mcp', {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
      'mcp-protocol-version': '2026-07-28',
      'mcp-method': method,
      ...(name !== undefined && { 'mcp-name': name }),
      ...headers,
    },
    body: JSON.stringify(message),
    ...(signal !== undefined && { signal }),
  });
  return server.modern(request, authInfo === undefined ? {} : { authInfo });
}

function overHttp(server: TaskServer): ModernPeer {
  return {
    async request(method, params = {}, options = {}) {
      const response = await send(server, messageOf(method, params, options), options);
      const messages: Json[] = [];
      for await (const message of messagesOf(response)) messages.push(message);
      return { notifications: messages.slice(0, -1), ...messages.at(-1) };
    },
    async listen(notifications, options = {}) {
      const stop = new AbortController();
      const message = messageOf('subscriptions/listen', { notifications }, options);
      const response = await send(server, message, { ...options, signal: stop.signal });
      const messages = messagesOf(response);
      const cancel = () => void messages.return(undefined);
      onTestFinished(cancel);
      return { next: async () => (await messages.next()).value, stop: cancel };
    },
  };
}

async function* messagesOf(response: Response): AsyncGenerator<Json, undefined> {
  if (response.headers.get('content-type')?.startsWith('application/json') === true) {
    yield (await response.json()) as Json;
    return;
  }
  let text = '';
  for await (const chunk of response.body!) {
    text += Buffer.from(chunk).toString();
    for (let end = text.indexOf('\n\n'); end >= 0; end = text.indexOf('\n\n')) {
      const data = /^data: (.*)$/m.exec(text.slice(0, end))?.[1];
      text = text.slice(end + 2);
      if (data !== undefined) yield JSON.parse(data) as Json;
    }
  }
}

async function overChannel(server: TaskServer): Promise<ModernPeer> {
  const [near, far] = InMemoryTransport.createLinkedPair();
  const hearers = new Set<(message: Json) => void>();
  near.onmessage = (message) => {
    for (const hear of [...hearers]) hear(JSON.parse(JSON.stringify(message)) as Json);
  };
  await Promise.all([server.serve(far), near.start()]);
  const cancel = (requestId: unknown) =>
    near.send({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId } } as never);
  return {
    async request(method, params = {}, options = {}) {
      const message = messageOf(method, params, options);
      const token = message['params']._meta.progressToken as unknown;
      const notifications: Json[] = [];
      const { signal } = options;
      const answer = new Promise<Json>((resolve, reject) => {
        const hear = (heard: Json) => {
          if (heard['id'] === message['id']) {
            hearers.delete(hear);
            resolve(heard);
          } else if (
            heard['params']?.progressToken === token ||
            heard['method'] === 'notifications/message'
          ) {
            notifications.push(heard);
          }
        };
        hearers.add(hear);
        signal?.addEventListener('abort', () => {
          void cancel(message['id']);
          hearers.delete(hear);
          reject(signal.reason as Error);
        });
      });
      await near.send(message as never);
      return { notifications, ...(await answer) };
    },
    async listen(notifications, options = {}) {
      const message = messageOf('subscriptions/listen', { notifications }, options);
      const { id } = message as { id: unknown };
      const heard: Json[] = [];
      let wake = () => {};
      hearers.add((message) => {
        if (message['id'] !== id && message['params']?._meta?.[SUBSCRIPTION_ID] !== id) return;
        heard.push(message);
        wake();
      });
      await near.send(message as never);
      return {
        next: async () => {
          while (heard.length === 0) await new Promise<void>((resolve) => (wake = resolve));
          return heard.shift();
        },
        stop: () => void cancel(id),
      };
    },
  };
}
