import {
  Server,
  createMcpHandler,
  type AuthInfo,
  type JSONRPCNotification,
  type RequestId,
} from '@modelcontextprotocol/server';
import { hasTasks, missingTasks, type Requests } from './2026-07-28.ts';
import { taskListenOf, withTasks, type TaskListen } from './2026-07-28-listen.ts';
import { withParamHeaders } from './2026-07-28-param-headers.ts';
import { TaskSubscription } from './2026-07-28-subscription.ts';
import type { Service } from './service.ts';

export interface HttpRequestOptions {
  readonly authInfo?: AuthInfo | undefined;
  /** The body, where it has been read. */
  readonly parsedBody?: unknown;
}

const HEADER_MISMATCH = -32_020;

/** Answers 2026-07-28 over Streamable HTTP, one request at a time. */
export class HttpEndpoint {
  readonly #service: Service;
  readonly #handler: ReturnType<typeof createMcpHandler>;
  readonly #listener: ReturnType<typeof createMcpHandler>;

  constructor(service: Service, requests: Requests) {
    this.#service = service;
    const options = {
      legacy: 'reject',
      onerror: (error: Error) => service.log.info({ err: error }, 'a request was not served'),
    } as const;
    this.#handler = createMcpHandler(
      withParamHeaders(service, () => requests.server()),
      options,
    );
    // The SDK ends a stream on which it has nothing to send: this one might, as far as it knows.
    this.#listener = createMcpHandler(
      () => new Server(service.info, { capabilities: { tools: { listChanged: true } } }),
      options,
    );
  }

  async fetch(request: Request, options: HttpRequestOptions): Promise<Response> {
    const body = 'parsedBody' in options ? options.parsedBody : await bodyOf(request);
    const problem = routingProblem(request, body);
    if (problem !== undefined) return problem;
    const { authInfo } = options;
    const listen = taskListenOf(body);
    if (listen !== undefined) return this.#listen(request, listen, authInfo);
    return this.#handler.fetch(request, {
      ...(authInfo !== undefined && { authInfo }),
      ...(body !== undefined && { parsedBody: body }),
    });
  }

  /** Ends what is still under way; those who listen are told. */
  async close(): Promise<void> {
    await Promise.all([this.#handler.close(), this.#listener.close()]);
  }

  async #listen(
    request: Request,
    { id, taskIds, capabilities, asOther }: TaskListen,
    authInfo: AuthInfo | undefined,
  ): Promise<Response> {
    const response = await this.#listener.fetch(request, { parsedBody: asOther });
    if (response.headers.get('content-type')?.startsWith('text/event-stream') !== true) return response;
    const stream = response.body!;
    if (!hasTasks(capabilities)) {
      await stream.cancel();
      const { code, message, data } = missingTasks();
      return errorResponse(400, id, { code, message, data });
    }
    const owner = this.#service.ownerOf({ authInfo });
    let output: ReadableStreamDefaultController<Uint8Array>;
    const send = (message: JSONRPCNotification) => output.enqueue(frameOf(message));
    const subscription = await TaskSubscription.open(this.#service, owner, id, taskIds, send);
    const frames = stream.getReader();
    const body = new ReadableStream<Uint8Array>({
      // The SDK writes a message at a time, and the acknowledgement first.
      start: async (controller) => {
        output = controller;
        const { value } = await frames.read();
        if (value === undefined) return;
        controller.enqueue(frameOf(withTasks(messageOf(value), subscription.taskIds)));
        subscription.acknowledged();
      },
      pull: async (controller) => {
        const { done, value } = await frames.read();
        if (!done) return controller.enqueue(value);
        subscription.close();
        controller.close();
      },
      cancel: async (reason) => {
        subscription.close();
        await frames.cancel(reason);
      },
    });
    return new Response(body, { status: response.status, headers: response.headers });
  }
}

/** The header that names the task has to name the one that the body is about (ext-tasks, "Streamable HTTP: Routing Headers"). */
function routingProblem({ headers }: Request, body: unknown): Response | undefined {
  const { method, params, id } = (body ?? {}) as {
    method?: unknown;
    params?: { taskId?: unknown };
    id?: RequestId;
  };
  if (method !== 'tasks/get' && method !== 'tasks/update' && method !== 'tasks/cancel') return undefined;
  const header = headers.get('mcp-name');
  const taskId = params?.taskId;
  if (typeof taskId !== 'string' || (header !== null && decoded(header) === taskId)) return undefined;
  const given = header === null ? 'is missing' : `is ${JSON.stringify(header)}`;
  const message = `Header mismatch: Mcp-Name ${given}, and params.taskId is ${JSON.stringify(taskId)}`;
  return errorResponse(400, id, { code: HEADER_MISMATCH, message });
}

/** A header's value (basic/transports/streamable-http, "Value Encoding"). */
function decoded(value: string): string {
  const encoded = /^=\?base64\?(.*)\?=$/.exec(value.trim())?.[1];
  return encoded === undefined ? value.trim() : Buffer.from(encoded, 'base64').toString();
}

function errorResponse(
  status: number,
  id: RequestId | undefined,
  error: { code: number; message: string; data?: unknown },
): Response {
  return Response.json({ jsonrpc: '2.0', id: id ?? null, error }, { status });
}

async function bodyOf(request: Request): Promise<unknown> {
  try {
    return await request.clone().json();
  } catch {
    return undefined;
  }
}

function frameOf(message: JSONRPCNotification): Uint8Array {
  return new TextEncoder().encode(`event: message\ndata: ${JSON.stringify(message)}\n\n`);
}

function messageOf(frame: Uint8Array): JSONRPCNotification {
  const data = /^data: (.*)$/m.exec(new TextDecoder().decode(frame))![1]!;
  return JSON.parse(data) as JSONRPCNotification;
}
