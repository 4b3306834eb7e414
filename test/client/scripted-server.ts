import { InMemoryTransport } from '@modelcontextprotocol/sdk/inMemory.js';
import type { JSONRPCMessage } from '@modelcontextprotocol/sdk/types.js';
import { TaskClient, type ConnectOptions } from 'mcp-taskpool/client';
import { onTestFinished } from 'vitest';

/** JSON as it came over the wire. */
// oxlint-disable-next-line typescript/no-explicit-any
export type Json = Record<string, any>;

/** Answers a request with what it returns, or with the error that it throws; later, if that is a promise. */
export type Answer = (params: Json, id: number) => unknown;

/** Becomes a JSON-RPC error. */
export class WireError extends Error {
  readonly code: number;
  readonly data: unknown;

  constructor(code: number, message: string, data?: unknown) {
    super(message);
    this.code = code;
    this.data = data;
  }
}

/** What a request gets that is never answered. */
export const NEVER = new Promise<never>(() => {});

const ALL_OF_TASKS = { list: {}, cancel: {}, requests: { tools: { call: {} } } };

interface Script {
  answers?: Record<string, Answer>;
  /** By their name: whether they can be tasks. */
  tools?: Record<string, 'required' | 'optional' | 'forbidden' | undefined>;
  /** The capability; false for none. */
  tasks?: Json | false;
  /** Whether the network fails to carry a message of this method to the server. */
  loses?: (method: string) => boolean;
}

/** The far end of a connection: a server that speaks JSON-RPC by a test's script, and keeps what it heard. */
export class ScriptedServer {
  readonly heard: Json[] = [];
  readonly answers: Record<string, Answer>;
  tools: NonNullable<Script['tools']>;
  readonly #transport: InMemoryTransport;
  readonly #tasks: Json | false;
  readonly #waiting = new Set<() => void>();
  #lastId = 1000;

  private constructor(transport: InMemoryTransport, script: Script) {
    const { answers = {}, tools = { work: 'optional' }, tasks = ALL_OF_TASKS } = script;
    this.#transport = transport;
    this.#tasks = tasks;
    this.tools = tools;
    this.answers = answers;
    transport.onmessage = (message) => void this.#hear(structuredClone(message) as Json);
  }

  /** A client that is connected to a server with this script. */
  static async connect(
    script: Script = {},
    options: ConnectOptions = {},
  ): Promise<{ server: ScriptedServer; client: TaskClient }> {
    const [near, far] = InMemoryTransport.createLinkedPair();
    const server = new ScriptedServer(far, script);
    const send = near.send.bind(near);
    near.send = async (message, ...rest) => {
      if ('method' in message && script.loses?.(message.method)) throw new Error('the network is down');
      return send(message, ...rest);
    };
    await far.start();
    const client = await TaskClient.connect(near, options);
    onTestFinished(() => client.close());
    return { server, client };
  }

  /** The parameters of all requests, or notifications, of this method. */
  all(method: string): Json[] {
    return this.heard.filter((message) => message['method'] === method).map(({ params }) => params as Json);
  }

  count(method: string): number {
    return this.all(method).length;
  }

  /** Resolves with the n-th message of this method, from 1, be it past or to come. */
  async heardNth(method: string, n = 1): Promise<Json> {
    while (this.count(method) < n) await new Promise<void>((resolve) => this.#waiting.add(resolve));
    return this.heard.filter((message) => message['method'] === method)[n - 1]!;
  }

  notify(method: string, params: Json = {}): void {
    this.#send({ jsonrpc: '2.0', method, params });
  }

  /** Says where a task stands. */
  tell(task: Json): void {
    this.notify('notifications/tasks/status', task);
  }

  /** Asks the client something; gives its answer. */
  async ask(method: string, params: Json): Promise<Json> {
    const id = ++this.#lastId;
    this.#send({ jsonrpc: '2.0', id, method, params });
    const isAnswer = (message: Json) => message['id'] === id && message['method'] === undefined;
    while (!this.heard.some(isAnswer)) await new Promise<void>((resolve) => this.#waiting.add(resolve));
    return this.heard.find(isAnswer)!;
  }

  close(): Promise<void> {
    return this.#transport.close();
  }

  async #hear(message: Json): Promise<void> {
    this.heard.push(message);
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const look of waiting) look();
    const { id, method, params } = message;
    if (id === undefined || method === undefined) return;
    try {
      const result = await this.#answer(method as string, (params ?? {}) as Json, id as number);
      this.#send({ jsonrpc: '2.0', id, result });
    } catch (error) {
      const { code, message, data } = error as WireError;
      this.#send({ jsonrpc: '2.0', id, error: { code, message, ...(data !== undefined && { data }) } });
    }
  }

  #answer(method: string, params: Json, id: number): unknown {
    const answer = this.answers[method];
    if (answer !== undefined) return answer(params, id);
    switch (method) {
      case 'initialize':
        return {
          protocolVersion: '2025-11-25',
          serverInfo: { name: 'scripted', version: '1' },
          capabilities: {
            tools: { listChanged: true },
            ...(this.#tasks !== false && { tasks: this.#tasks }),
          },
        };
      case 'tools/list':
        return { tools: Object.entries(this.tools).map(([name, taskSupport]) => tool(name, taskSupport)) };
      case 'ping':
        return {};
      default:
        throw new WireError(-32601, `Method not found: ${method}`);
    }
  }

  #send(message: Json): void {
    void this.#transport.send(structuredClone(message) as JSONRPCMessage).catch(() => {});
  }
}

export function tool(name: string, taskSupport?: string): Json {
  return {
    name,
    inputSchema: { type: 'object' },
    ...(taskSupport !== undefined && { execution: { taskSupport } }),
  };
}

/** A task on the wire; the later `at`, in milliseconds, the newer. */
export function task(taskId: string, status: string, more: Json = {}, at = 0): Json {
  return {
    taskId,
    status,
    createdAt: new Date(1_700_000_000_000).toISOString(),
    lastUpdatedAt: new Date(1_700_000_000_000 + at).toISOString(),
    ttl: 60_000,
    ...more,
  };
}

/** What an mcp-taskpool server adds. */
export function meta(state: string, more: Json = {}): Json {
  return { _meta: { 'mcp-taskpool/task': { state, ...more } } };
}

export function text(...texts: string[]): Json {
  return { content: texts.map((text) => ({ type: 'text', text })) };
}

/** A promise, and what settles it. */
export function deferred<T = void>(): {
  promise: Promise<T>;
  resolve: (value: T) => void;
  reject: (error: Error) => void;
} {
  let resolve!: (value: T) => void;
  let reject!: (error: Error) => void;
  const promise = new Promise<T>((done, failed) => {
    resolve = done;
    reject = failed;
  });
  return { promise, resolve, reject };
}
