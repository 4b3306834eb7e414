import type { AuthInfo } from '@modelcontextprotocol/sdk/server/auth/types.js';
import { InMemoryTransport } from '@modelcontextprotocol/sdk/inMemory.js';
import type { Transport } from '@modelcontextprotocol/sdk/shared/transport.js';
import type { JSONRPCMessage } from '@modelcontextprotocol/sdk/types.js';
import { TASK_META, type TaskMeta } from 'mcp-taskpool';
import { onTestFinished } from 'vitest';

/** JSON as it came over the wire. */
// oxlint-disable-next-line typescript/no-explicit-any
export type Json = Record<string, any>;

export const RELATED_TASK = 'io.modelcontextprotocol/related-task';

/** What an error response says; {@link Peer.request} rejects with it. */
class ResponseError extends Error {
  readonly code: number;
  readonly data: unknown;

  constructor({ code, message, data }: Json) {
    super(message as string);
    this.code = code as number;
    this.data = data;
  }
}

interface PeerOptions {
  /** Comes with every message, as a transport that checks access tokens would have it. */
  authInfo?: AuthInfo;
  /** The session of the transport. */
  sessionId?: string;
  /** Leaves `initialize` to the test. */
  silent?: boolean;
}

/** The other end of a connection: speaks plain JSON-RPC, and keeps every message in the order of arrival. */
export class Peer {
  readonly messages: Json[] = [];
  readonly #transport: InMemoryTransport;
  readonly #authInfo: AuthInfo | undefined;
  readonly #waiting = new Set<(message: Json) => void>();
  #lastId = 0;

  private constructor(transport: InMemoryTransport, authInfo: AuthInfo | undefined) {
    this.#transport = transport;
    this.#authInfo = authInfo;
    transport.onmessage = (message) => {
      const copy = JSON.parse(JSON.stringify(message)) as Json;
      this.messages.push(copy);
      for (const look of [...this.#waiting]) look(copy);
    };
  }

  static async connect(
    server: { connect(transport: Transport): Promise<unknown> },
    { authInfo, sessionId, silent = false }: PeerOptions = {},
  ): Promise<Peer> {
    const [near, far] = InMemoryTransport.createLinkedPair();
    if (sessionId !== undefined) far.sessionId = sessionId;
    const peer = new Peer(near, authInfo);
    await Promise.all([server.connect(far), near.start()]);
    if (!silent) {
      await peer.initialize();
      peer.notify('notifications/initialized');
    }
    return peer;
  }

  initialize(): Promise<Json> {
    return this.request('initialize', {
      protocolVersion: '2025-11-25',
      capabilities: {},
      clientInfo: { name: 'peer', version: '1' },
    });
  }

  /** Sends a request, and gives its id at once. */
  send(method: string, params?: Json): number {
    const id = ++this.#lastId;
    this.#write({ jsonrpc: '2.0', id, method, ...(params && { params }) });
    return id;
  }

  notify(method: string, params?: Json): void {
    this.#write({ jsonrpc: '2.0', method, ...(params && { params }) });
  }

  /** Sends a request, and gives its result. */
  request(method: string, params?: Json): Promise<Json> {
    return this.response(this.send(method, params));
  }

  async response(id: number): Promise<Json> {
    const { result, error } = await this.arrival((message) => message['id'] === id);
    if (error !== undefined) throw new ResponseError(error as Json);
    return result as Json;
  }

  /** A plain call. */
  call(name: string, args: Json = {}, progressToken?: string | number): Promise<Json> {
    return this.request('tools/call', callParams(name, args, undefined, progressToken));
  }

  /** A call as a task; gives the task. Where it has not ended by the end of the test, it is cancelled. */
  async start(name: string, args: Json = {}, task: Json = {}, progressToken?: string): Promise<Json> {
    const created = await this.request('tools/call', callParams(name, args, task, progressToken));
    const { taskId } = created['task'] as Json;
    onTestFinished(() => void this.send('tasks/cancel', { taskId }));
    return created['task'] as Json;
  }

  get(taskId: string): Promise<Json> {
    return this.request('tasks/get', { taskId });
  }

  result(taskId: string): Promise<Json> {
    return this.request('tasks/result', { taskId });
  }

  cancel(taskId: string): Promise<Json> {
    return this.request('tasks/cancel', { taskId });
  }

  /** Every page of `tasks/list`, put together. */
  async list(): Promise<Json[]> {
    const tasks: Json[] = [];
    for (let cursor: unknown; ;) {
      const page = await this.request('tasks/list', cursor === undefined ? {} : { cursor });
      tasks.push(...(page['tasks'] as Json[]));
      cursor = page['nextCursor'];
      if (cursor === undefined) return tasks;
    }
  }

  /** Resolves with the status notification that says the task is in this state, be it past or to come. */
  async reached(taskId: string, state: TaskMeta['state']): Promise<Json> {
    const { params } = await this.arrival(
      ({ method, params }) =>
        method === 'notifications/tasks/status' && params.taskId === taskId && stateOf(params) === state,
    );
    return params as Json;
  }

  /** Resolves with the first message that fits, be it past or to come. */
  arrival(fits: (message: Json) => boolean): Promise<Json> {
    const past = this.messages.find(fits);
    if (past !== undefined) return Promise.resolve(past);
    return new Promise((resolve) => {
      const look = (message: Json) => {
        if (!fits(message)) return;
        this.#waiting.delete(look);
        resolve(message);
      };
      this.#waiting.add(look);
    });
  }

  /** The parameters of the notifications of this kind that have come. */
  notifications(method: string): Json[] {
    return this.messages
      .filter((message) => message['method'] === method)
      .map(({ params }) => params as Json);
  }

  close(): Promise<void> {
    return this.#transport.close();
  }

  #write(message: Json): void {
    const authInfo = this.#authInfo;
    const copy = JSON.parse(JSON.stringify(message)) as JSONRPCMessage;
    // Where the connection has closed there is nobody to answer.
    this.#transport.send(copy, authInfo && { authInfo }).catch(() => {});
  }
}

/** What a task's metadata says of its state: more than its status. */
export function stateOf(task: Json): TaskMeta['state'] {
  return (task['_meta'] as Json)[TASK_META].state;
}

export function callParams(name: string, args: Json, task?: Json, progressToken?: string | number): Json {
  return {
    name,
    arguments: args,
    ...(task !== undefined && { task }),
    ...(progressToken !== undefined && { _meta: { progressToken } }),
  };
}
