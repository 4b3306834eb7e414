/** JSON as it came over the wire. */
// oxlint-disable-next-line typescript/no-explicit-any
type Json = Record<string, any>;

const REVISION = '2026-07-28';
const META = 'io.modelcontextprotocol/';
const TASKS = 'io.modelcontextprotocol/tasks';

/** One request, while it is open. */
export interface Exchange {
  readonly id: number;
  readonly method: string;
  readonly params: Json;
  /** In lower case; none where the transport has none. */
  readonly headers: Readonly<Record<string, unknown>>;
  /** Aborts when the client takes the request back. */
  readonly signal: AbortSignal;
  /** Sends a notification that belongs to it. */
  readonly notify: (method: string, params?: Json) => void;
  /** Ends its stream, or whatever carries it, without an answer. */
  readonly cut: () => void;
}

/** Answers a request with what it returns, or with the error that it throws; later, if that is a promise. */
export type Answer = (params: Json, exchange: Exchange) => unknown;

/** How one request's messages reach the client. */
export interface Reply {
  send: (message: Json) => void;
  cut: () => void;
  signal: AbortSignal;
  headers: Readonly<Record<string, unknown>>;
}

/** Becomes a JSON-RPC error. */
export class Refusal extends Error {
  readonly code: number;
  readonly data: unknown;

  constructor(code: number, message: string, data?: unknown) {
    super(message);
    this.code = code;
    this.data = data;
  }
}

/** A server that speaks 2026-07-28, and nothing else, by a test's script; it keeps what it heard. */
export class ModernServer {
  readonly answers: Record<string, Answer>;
  readonly heard: Exchange[] = [];
  /** Notifications of the client's. */
  readonly notified: Json[] = [];
  readonly #waiting = new Set<() => void>();

  constructor(answers: Record<string, Answer> = {}) {
    this.answers = answers;
  }

  all(method: string): Exchange[] {
    return this.heard.filter((exchange) => exchange.method === method);
  }

  /** Resolves with the n-th request of this method, from 1, be it past or to come. */
  async nth(method: string, n = 1): Promise<Exchange> {
    await this.until(() => this.all(method).length >= n);
    return this.all(method)[n - 1]!;
  }

  /** Resolves once it is so, looking whenever a message comes in. */
  async until(isSo: () => boolean): Promise<void> {
    while (!isSo()) await new Promise<void>((resolve) => this.#waiting.add(resolve));
  }

  notice(notification: Json): void {
    this.notified.push(notification);
    this.#wake();
  }

  /** Resolves when the answer has been sent. */
  async take({ id, method, params = {} }: Json, reply: Reply): Promise<void> {
    const exchange: Exchange = {
      id: id as number,
      method: method as string,
      params: params as Json,
      headers: reply.headers,
      signal: reply.signal,
      notify: (method, params = {}) => reply.send({ jsonrpc: '2.0', method, params }),
      cut: reply.cut,
    };
    this.heard.push(exchange);
    this.#wake();
    try {
      const result = await this.#answer(exchange);
      reply.send({ jsonrpc: '2.0', id, result });
    } catch (error) {
      const { code, message, data } = error instanceof Refusal ? error : new Refusal(-32603, String(error));
      reply.send({ jsonrpc: '2.0', id, error: { code, message, ...(data !== undefined && { data }) } });
    }
  }

  #answer(exchange: Exchange): unknown {
    const { method, params } = exchange;
    if (method === 'initialize' && this.answers['initialize'] === undefined) {
      throw new Refusal(-32022, 'Unsupported protocol version', { supported: [REVISION] });
    }
    if (method !== 'initialize') checkEnvelope(exchange);
    const answer = this.answers[method];
    if (answer !== undefined) return answer(params, exchange);
    switch (method) {
      case 'server/discover':
        return discovered();
      case 'tools/list':
        return { resultType: 'complete', tools: [], ttlMs: 0, cacheScope: 'private' };
      default:
        throw new Refusal(-32601, `Method not found: ${method}`);
    }
  }

  #wake(): void {
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const look of waiting) look();
  }
}

export function discovered(more: Json = {}): Json {
  return {
    resultType: 'complete',
    supportedVersions: [REVISION],
    capabilities: { tools: {}, extensions: { [TASKS]: {} } },
    ttlMs: 0,
    cacheScope: 'private',
    ...more,
  };
}

/** Every request says anew who asks, in which revision ("Per-request protocol fields"). */
function checkEnvelope({ method, params, headers }: Exchange): void {
  const meta = (params['_meta'] ?? {}) as Json;
  if (meta[`${META}protocolVersion`] !== REVISION) throw new Refusal(-32602, 'no protocolVersion');
  if (typeof meta[`${META}clientInfo`]?.name !== 'string') throw new Refusal(-32602, 'no clientInfo');
  const capabilities = meta[`${META}clientCapabilities`] as Json | undefined;
  if (capabilities?.['extensions']?.[TASKS] === undefined) {
    throw new Refusal(-32021, 'Missing required client capability');
  }
  if (headers['mcp-protocol-version'] === undefined) return;
  const name = method.startsWith('tasks/') ? params['taskId'] : params['name'];
  const expected = { version: REVISION, method, name };
  const actual = {
    version: headers['mcp-protocol-version'],
    method: headers['mcp-method'],
    name: decoded(headers['mcp-name']),
  };
  if (JSON.stringify(expected) !== JSON.stringify(actual)) {
    throw new Refusal(-32020, `Header mismatch: ${JSON.stringify({ expected, actual })}`);
  }
}

function decoded(header: unknown): unknown {
  const base64 = /^=\?base64\?(.*)\?=$/.exec(String(header))?.[1];
  return base64 === undefined ? header : Buffer.from(base64, 'base64').toString();
}

/** A task as `tasks/get` and `notifications/tasks` have it; the later `at`, in milliseconds, the newer. */
export function detailed(taskId: string, status: string, more: Json = {}, at = 0): Json {
  return {
    resultType: 'complete',
    taskId,
    status,
    createdAt: new Date(1_700_000_000_000).toISOString(),
    lastUpdatedAt: new Date(1_700_000_000_000 + at).toISOString(),
    ttlMs: 60_000,
    pollIntervalMs: 5,
    ...more,
  };
}

/** What a call is answered with that becomes a task. */
export function created(taskId: string, more: Json = {}): Json {
  return { ...detailed(taskId, 'working'), resultType: 'task', ...more };
}

export function said(text: string, more: Json = {}): Json {
  return { resultType: 'complete', content: [{ type: 'text', text }], ...more };
}

/** A question for the user. */
export function form(message: string): Json {
  const requestedSchema = { type: 'object', properties: { answer: { type: 'string' } } };
  return { method: 'elicitation/create', params: { mode: 'form', message, requestedSchema } };
}

/** A question for the client's model. */
export function sampling(text: string): Json {
  const messages = [{ role: 'user', content: { type: 'text', text } }];
  return { method: 'sampling/createMessage', params: { messages, maxTokens: 10 } };
}

/** Opens a stream of notifications for these tasks. */
export function acknowledge({ id, notify }: Exchange, taskIds: readonly string[] | undefined): void {
  notify('notifications/subscriptions/acknowledged', {
    _meta: { [`${META}subscriptionId`]: id },
    notifications: { ...(taskIds !== undefined && { taskIds }) },
  });
}

/** Says on a stream where a task stands. */
export function tell({ id, notify }: Exchange, task: Json): void {
  notify('notifications/tasks', { ...task, _meta: { ...task['_meta'], [`${META}subscriptionId`]: id } });
}
