import type { Server } from '@modelcontextprotocol/sdk/server/index.js';
import { Protocol, type RequestHandlerExtra } from '@modelcontextprotocol/sdk/shared/protocol.js';
import type { Transport } from '@modelcontextprotocol/sdk/shared/transport.js';
import {
  CallToolRequestSchema,
  CancelTaskRequestSchema,
  GetTaskPayloadRequestSchema,
  GetTaskRequestSchema,
  ListTasksRequestSchema,
  ListToolsRequestSchema,
  SetLevelRequestSchema,
  type CallToolRequest,
  type ServerCapabilities,
  type ServerNotification,
  type ServerRequest,
  type SetLevelRequest,
} from '@modelcontextprotocol/sdk/types.js';
import { z } from 'zod';
import { ErrorCode, ProtocolError } from '../errors.ts';
import type { Observer } from '../tasks/observer.ts';
import type { PendingQuestion } from '../tasks/question.ts';
import { isTerminal } from '../tasks/task.ts';
import { encodeOutcome, encodeTask, relatedTask } from './2025-11-25-encode.ts';
import { ask, type SendRequest } from './2025-11-25-ask.ts';
import { Follower, Notifier } from './2025-11-25-notify.ts';
import type { OwnTools } from './own-tools.ts';
import { incapable } from './questions.ts';
import { idempotencyKeyOf, type Service } from './service.ts';
import type { ServedTool } from './tools.ts';

/** What comes with a request beside its parameters. */
export type Extra = RequestHandlerExtra<ServerRequest, ServerNotification>;

type Result = Record<string, unknown>;

/**
 * What a server that runs tools as tasks declares (tasks, "Server Capabilities").
 * @param listTasks whether the client may list its tasks
 */
export function capabilities(listTasks = true): ServerCapabilities {
  return {
    tools: {},
    logging: {},
    tasks: { ...(listTasks && { list: {} }), cancel: {}, requests: { tools: { call: {} } } },
  };
}

export interface ConnectionOptions {
  /** What the SDK server has of its own. */
  ownTools?: OwnTools | undefined;
  /** Whether the client may list its tasks; otherwise `tasks/list` is an unknown method. Default true. */
  listTasks?: boolean;
}

/**
 * Speaks revision 2025-11-25 on one connection: `tools/list`, `tools/call` and `tasks/*` of an SDK
 * server are answered from the engine. The SDK keeps the framing, `initialize`, `ping` and the rest.
 */
export class Connection {
  readonly #server: Server;
  readonly #service: Service;
  readonly #ownTools: OwnTools | undefined;
  readonly #notifier: Notifier;
  /** Who follows each unfinished task that was created over the transport. */
  readonly #followers = new Map<string, Follower>();
  #transport: Transport | undefined;

  constructor(server: Server, service: Service, { ownTools, listTasks = true }: ConnectionOptions = {}) {
    this.#server = server;
    this.#service = service;
    this.#ownTools = ownTools;
    this.#notifier = new Notifier(server, service.log);
    // The SDK's client does not hear that request 0 is cancelled. Should the field go away, it is so again.
    const { _requestMessageId: next } = server as unknown as { _requestMessageId?: number };
    if (next === 0) Object.assign(server, { _requestMessageId: 1 });
    const owner = (extra: Extra) => service.ownerOf(extra);
    this.#handle(ListToolsRequestSchema, (request, extra) => this.#listTools(request, extra));
    this.#handle(CallToolRequestSchema, (request, extra) => this.#callTool(request, owner(extra), extra));
    this.#handle(GetTaskRequestSchema, ({ params }, extra) => this.#getTask(owner(extra), params.taskId));
    this.#handle(GetTaskPayloadRequestSchema, ({ params }, extra) =>
      this.#taskResult(owner(extra), params.taskId, extra),
    );
    if (listTasks) {
      this.#handle(ListTasksRequestSchema, ({ params }, extra) =>
        this.#listTasks(owner(extra), params?.cursor),
      );
    }
    this.#handle(CancelTaskRequestSchema, ({ params }, extra) =>
      this.#cancelTask(owner(extra), params.taskId),
    );
    this.#handle(SetLevelRequestSchema, (request, extra) => this.#setLevel(request, extra));
  }

  async #listTools(request: unknown, extra: Extra): Promise<Result> {
    const { toolbox } = this.#service;
    const tools = toolbox.values().map(({ definition, task }) => ({
      ...definition,
      execution: { taskSupport: task },
    }));
    if (this.#ownTools === undefined) return { tools };
    const own = await this.#ownTools.list(request, extra);
    return { ...own, tools: [...tools, ...own.tools.filter(({ name }) => toolbox.get(name) === undefined)] };
  }

  async #callTool(request: CallToolRequest, owner: string, extra: Extra): Promise<Result> {
    const { name, arguments: args = {}, task } = request.params;
    const { toolbox } = this.#service;
    const tool = toolbox.get(name);
    if (tool === undefined) return this.#callOwnTool(request, extra);
    // tasks, "Tool-Level Negotiation" 2.1 and 2.3.
    if (task !== undefined && tool.task === 'forbidden') throw notAsTask(name);
    if (task === undefined && tool.task === 'required') {
      const message = `Tool ${name} can only be called as a task: call it with \`task\``;
      throw new ProtocolError(ErrorCode.methodNotFound, message);
    }
    if (task?.ttl !== undefined && !(task.ttl > 0)) {
      const message = 'params.task.ttl: expected a positive number of milliseconds';
      throw new ProtocolError(ErrorCode.invalidParams, message);
    }
    const problem = toolbox.problem(tool, args);
    if (problem !== undefined) return { content: [{ type: 'text', text: problem }], isError: true };
    return task === undefined
      ? this.#call(tool, args, owner, extra)
      : this.#createTask(tool, args, owner, task.ttl, extra);
  }

  async #createTask(
    tool: ServedTool,
    args: Result,
    owner: string,
    ttlMs: number | undefined,
    extra: Extra,
  ): Promise<Result> {
    const { engine, toolbox } = this.#service;
    const idempotencyKey = idempotencyKeyOf(extra._meta);
    const token = extra._meta?.progressToken;
    const follower = new Follower(this.#notifier, tool.definition.name, token, (taskId) =>
      this.#unfollow(taskId),
    );
    const wanted = {
      owner,
      call: toolbox.call(tool, args),
      ttlMs: ttlMs ?? tool.ttlMs,
      pollIntervalMs: tool.pollIntervalMs,
      idempotencyKey,
    };
    const view = await engine.create(wanted, follower);
    const { taskId } = view.task;
    this.#watchTransport();
    // A repeated request may be for a task that has ended.
    if (!isTerminal(view.task)) this.#followers.set(taskId, follower);
    follower.acknowledged(taskId);
    const { _meta, ...task } = encodeTask(view);
    return { task, _meta: { ..._meta, ...relatedTask(taskId) } };
  }

  async #call(tool: ServedTool, args: Result, owner: string, extra: Extra): Promise<Result> {
    const { engine, toolbox } = this.#service;
    const token = extra._meta?.progressToken;
    const observer: Observer = {
      log: (entries) => this.#notifier.callLog(tool.definition.name, entries, extra.requestId),
      asked: (pending) => this.#ask(pending, {}, extra),
      ...(token !== undefined && {
        progress: (progress) => this.#notifier.callProgress(token, progress, extra.requestId),
      }),
    };
    const wanted = { owner, call: toolbox.call(tool, args), idempotencyKey: idempotencyKeyOf(extra._meta) };
    return encodeOutcome(await engine.call(wanted, observer, extra.signal));
  }

  /** Puts a question to the client, on the stream of its own request. */
  #ask(pending: PendingQuestion, meta: Record<string, unknown>, extra: Extra): void {
    const problem = incapable(pending.question, this.#server.getClientCapabilities());
    if (problem !== undefined) pending.answer({ type: 'error', message: problem });
    else void ask(pending, extra.sendRequest as SendRequest, meta, extra.signal);
  }

  async #callOwnTool(request: CallToolRequest, extra: Extra): Promise<Result> {
    const { name, task } = request.params;
    const own = this.#ownTools;
    const unknown = new ProtocolError(ErrorCode.invalidParams, `Unknown tool: ${name}`);
    if (own === undefined) throw unknown;
    const exists = async () => {
      const { tools } = await own.list({ method: 'tools/list' }, extra);
      return tools.some((tool) => tool.name === name);
    };
    // `tasks/*` is answered from our engine, which has no tasks of the server's own tools.
    if (task !== undefined) throw (await exists()) ? notAsTask(name) : unknown;
    const result = await own.call(request, extra);
    // The SDK answers a call of an unknown tool with an error result.
    if (result['isError'] === true && !(await exists())) throw unknown;
    return result;
  }

  async #getTask(owner: string, taskId: string): Promise<Result> {
    const { engine, lookUps } = this.#service;
    return encodeTask(await lookUps.make(owner, () => engine.get(owner, taskId)));
  }

  async #taskResult(owner: string, taskId: string, extra: Extra): Promise<Result> {
    const { engine, lookUps, log } = this.#service;
    // On this request's stream (tasks, "Input Required Status" 2 and 3).
    const asked = (pending: PendingQuestion) => this.#ask(pending, relatedTask(taskId), extra);
    const task = await lookUps.make(owner, () => engine.ended(owner, taskId, extra.signal, asked));
    log.info({ taskId, owner }, 'result retrieved');
    const result = encodeOutcome(task);
    return { ...result, _meta: { ...result._meta, ...relatedTask(taskId) } };
  }

  async #listTasks(owner: string, cursor: string | undefined): Promise<Result> {
    const { engine, pageSize } = this.#service;
    const { views, nextCursor } = await engine.list(owner, cursor, pageSize);
    return { tasks: views.map(encodeTask), ...(nextCursor !== undefined && { nextCursor }) };
  }

  async #cancelTask(owner: string, taskId: string): Promise<Result> {
    const { engine, lookUps } = this.#service;
    return encodeTask(await lookUps.make(owner, () => engine.cancel(owner, taskId)));
  }

  async #setLevel(request: SetLevelRequest, extra: Extra): Promise<Result> {
    this.#notifier.level = request.params.level;
    // An McpServer filters what it logs itself.
    await this.#ownTools?.setLevel?.(request, extra);
    return {};
  }

  /** Follows no task any more once the transport has closed, whatever becomes of the server's own `onclose`. */
  #watchTransport(): void {
    const { transport } = this.#server;
    if (transport === undefined || transport === this.#transport) return;
    this.#transport = transport;
    const { onclose } = transport;
    transport.onclose = () => {
      onclose?.();
      for (const taskId of this.#followers.keys()) this.#unfollow(taskId);
    };
  }

  #unfollow(taskId: string): void {
    const follower = this.#followers.get(taskId);
    if (follower !== undefined) this.#service.engine.unobserve(taskId, follower);
    this.#followers.delete(taskId);
  }

  /**
   * Sets a request handler past the SDK server's own for `tools/call`, which accepts no result of a
   * task-augmented call but a task, and with parameters that do not fit answered as such (-32602).
   */
  #handle<S extends z.ZodObject>(
    schema: S,
    handler: (request: z.output<S>, extra: Extra) => Promise<Result>,
  ): void {
    const { method } = schema.shape as unknown as { method: z.ZodLiteral<string> };
    const checked = (request: unknown, extra: Extra) => {
      const parsed = schema.safeParse(request);
      if (parsed.success) return handler(parsed.data, extra);
      const [issue] = parsed.error.issues;
      throw new ProtocolError(ErrorCode.invalidParams, `${issue!.path.join('.')}: ${issue!.message}`);
    };
    Protocol.prototype.setRequestHandler.call(
      this.#server,
      z.looseObject({ method }) as never,
      checked as never,
    );
  }
}

function notAsTask(name: string): ProtocolError {
  const message = `Tool ${name} cannot be called as a task: call it without \`task\``;
  return new ProtocolError(ErrorCode.methodNotFound, message);
}
