import type { Server } from '@modelcontextprotocol/sdk/server/index.js';
import { Protocol, type RequestHandlerExtra } from '@modelcontextprotocol/sdk/shared/protocol.js';
import {
  CallToolRequestSchema,
  CancelTaskRequestSchema,
  GetTaskPayloadRequestSchema,
  GetTaskRequestSchema,
  ListTasksRequestSchema,
  ListToolsRequestSchema,
  type CallToolRequest,
  type LoggingLevel,
  type ServerCapabilities,
  type ServerNotification,
  type ServerRequest,
} from '@modelcontextprotocol/sdk/types.js';
import { z } from 'zod';
import { ErrorCode, ProtocolError } from '../errors.ts';
import type { Engine } from '../tasks/engine.ts';
import type { Log } from '../tasks/log.ts';
import type { Observer, TaskView } from '../tasks/observer.ts';
import { isTerminal, type LogEntry } from '../tasks/task.ts';
import { encodeOutcome, encodeProgress, encodeTask, relatedTask } from './2025-11-25-encode.ts';
import type { LookUps } from './look-ups.ts';
import type { ServedTool, Toolbox } from './tools.ts';

/** What comes with a request beside its parameters. */
export type Extra = RequestHandlerExtra<ServerRequest, ServerNotification>;

type Result = Record<string, unknown>;
type Handler = (request: never, extra: Extra) => unknown;

/** What all the connections of a server share. */
export interface Service {
  readonly engine: Engine;
  readonly toolbox: Toolbox;
  readonly lookUps: LookUps;
  readonly log: Log;
  /** Who makes a request: the tasks that they see are theirs. */
  readonly ownerOf: (extra: Extra) => string;
  /** Tasks in one page of `tasks/list`. */
  readonly pageSize: number;
}

/** The handlers that a server had for tools of its own; ours go before them. */
export interface OwnTools {
  list(request: unknown, extra: Extra): Promise<{ tools: unknown[] }>;
  call(request: unknown, extra: Extra): Promise<Result>;
}

/** What a server that runs tools as tasks declares (tasks, "Server Capabilities"). */
export const CAPABILITIES = {
  tools: {},
  logging: {},
  tasks: { list: {}, cancel: {}, requests: { tools: { call: {} } } },
} satisfies ServerCapabilities;

/**
 * Speaks revision 2025-11-25 on one connection: `tools/list`, `tools/call` and `tasks/*` of an SDK
 * server are answered from the engine. The SDK keeps the framing, `initialize`, `ping` and the rest.
 */
export class Connection {
  readonly #server: Server;
  readonly #service: Service;
  readonly #ownTools: OwnTools | undefined;
  /** What ends the following of each task that this connection created. */
  readonly #followed = new Set<() => void>();

  constructor(server: Server, service: Service, ownTools?: OwnTools) {
    this.#server = server;
    this.#service = service;
    this.#ownTools = ownTools;
    const owner = (extra: Extra) => service.ownerOf(extra);
    this.#handle(ListToolsRequestSchema, (request, extra) => this.#listTools(request, extra));
    this.#handle(CallToolRequestSchema, (request, extra) => this.#callTool(request, owner(extra), extra));
    this.#handle(GetTaskRequestSchema, ({ params }, extra) => this.#getTask(owner(extra), params.taskId));
    this.#handle(GetTaskPayloadRequestSchema, ({ params }, extra) =>
      this.#taskResult(owner(extra), params.taskId, extra.signal),
    );
    this.#handle(ListTasksRequestSchema, ({ params }, extra) =>
      this.#listTasks(owner(extra), params?.cursor),
    );
    this.#handle(CancelTaskRequestSchema, ({ params }, extra) =>
      this.#cancelTask(owner(extra), params.taskId),
    );
    const { onclose } = server;
    server.onclose = () => {
      onclose?.call(server);
      for (const unfollow of this.#followed) unfollow();
    };
  }

  async #listTools(request: unknown, extra: Extra): Promise<Result> {
    const tools = this.#service.toolbox.values().map(({ definition, task }) => ({
      ...definition,
      execution: { taskSupport: task },
    }));
    if (this.#ownTools === undefined) return { tools };
    const own = await this.#ownTools.list(request, extra);
    return { ...own, tools: [...tools, ...own.tools] };
  }

  async #callTool(request: CallToolRequest, owner: string, extra: Extra): Promise<Result> {
    const { name, arguments: args = {}, task } = request.params;
    const { toolbox } = this.#service;
    const tool = toolbox.get(name);
    if (tool === undefined) {
      if (this.#ownTools !== undefined) return this.#ownTools.call(request, extra);
      throw new ProtocolError(ErrorCode.invalidParams, `Unknown tool: ${name}`);
    }
    // tasks, "Tool-Level Negotiation" 2.1 and 2.3.
    if (task !== undefined && tool.task === 'forbidden') {
      throw new ProtocolError(
        ErrorCode.methodNotFound,
        `Tool ${name} cannot be called as a task: call it without \`task\``,
      );
    }
    if (task === undefined && tool.task === 'required') {
      throw new ProtocolError(
        ErrorCode.methodNotFound,
        `Tool ${name} can only be called as a task: call it with \`task\``,
      );
    }
    if (task?.ttl !== undefined && !(task.ttl > 0)) {
      throw new ProtocolError(
        ErrorCode.invalidParams,
        'params.task.ttl: expected a positive number of milliseconds',
      );
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
    const view = await this.#service.engine.create({
      owner,
      call: this.#service.toolbox.call(tool, args),
      ttlMs: ttlMs ?? tool.ttlMs,
      pollIntervalMs: tool.pollIntervalMs,
    });
    // The acknowledgement leaves before the first notification does.
    setImmediate(() => void this.#follow(view, extra._meta?.progressToken));
    const { _meta, ...task } = encodeTask(view);
    return { task, _meta: { ..._meta, ...relatedTask(task.taskId) } };
  }

  async #call(tool: ServedTool, args: Result, owner: string, extra: Extra): Promise<Result> {
    const wanted = { owner, call: this.#service.toolbox.call(tool, args) };
    const progressToken = extra._meta?.progressToken;
    const observer: Observer = {
      log: (entries) => this.#log(entries, tool.definition.name, {}),
      ...(progressToken !== undefined && {
        progress: (progress) => {
          const params = encodeProgress(progressToken, progress);
          extra.sendNotification({ method: 'notifications/progress', params }).catch(this.#lost);
        },
      }),
    };
    return encodeOutcome(await this.#service.engine.call(wanted, observer, extra.signal));
  }

  async #getTask(owner: string, taskId: string): Promise<Result> {
    const { engine, lookUps } = this.#service;
    return encodeTask(await lookUps.make(owner, () => engine.get(owner, taskId)));
  }

  async #taskResult(owner: string, taskId: string, signal: AbortSignal): Promise<Result> {
    const { engine, lookUps, log } = this.#service;
    const task = await lookUps.make(owner, () => engine.ended(owner, taskId, signal));
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

  /** Tells the client of a task's status, progress and log until the task has ended or the connection has. */
  async #follow({ task: told }: TaskView, progressToken: string | number | undefined): Promise<void> {
    const { taskId, owner, call } = told;
    const related = relatedTask(taskId);
    const tell = (view: TaskView) => {
      if (view.task === told) return;
      told = view.task;
      // It carries the id itself, and so no related-task metadata (tasks, "Task Notifications" 3).
      this.#notify('notifications/tasks/status', encodeTask(view));
      if (isTerminal(view.task)) end();
    };
    const unobserve = this.#service.engine.observe(taskId, {
      status: tell,
      log: (entries) => this.#log(entries, call.tool, related),
      gone: () => end(),
      // The token stays valid for the life of the task (tasks, "Task Progress Notifications").
      ...(progressToken !== undefined && {
        progress: (progress) =>
          this.#notify('notifications/progress', {
            ...encodeProgress(progressToken, progress),
            _meta: related,
          }),
      }),
    });
    const end = () => {
      unobserve();
      this.#followed.delete(end);
    };
    this.#followed.add(end);
    // What happened between the acknowledgement and now.
    await this.#service.engine.get(owner, taskId).then(tell, end);
  }

  #notify(method: string, params: Result): void {
    if (this.#server.transport === undefined) return;
    this.#server.notification({ method, params }).catch(this.#lost);
  }

  #log(entries: readonly LogEntry[], logger: string, _meta: Result): void {
    for (const { level, message } of entries) {
      const params = { level: level as LoggingLevel, logger, data: message, _meta };
      this.#server.sendLoggingMessage(params, this.#server.transport?.sessionId).catch(this.#lost);
    }
  }

  /** A notification that cannot be delivered is lost: who missed it asks for the task. */
  readonly #lost = (error: unknown): void => {
    this.#service.log.warn({ err: error }, 'a notification was not delivered');
  };

  /**
   * Sets a request handler past the SDK server's own for `tools/call`, which accepts no result of a
   * task-augmented call but a task, and with parameters that do not fit answered as such (-32602).
   */
  #handle<S extends z.ZodObject>(
    schema: S,
    handler: (request: z.output<S>, extra: Extra) => Promise<Result>,
  ): void {
    const { method } = schema.shape as unknown as { method: z.ZodLiteral<string> };
    const loose = z.looseObject({ method });
    const checked = (request: unknown, extra: Extra) => {
      const parsed = schema.safeParse(request);
      if (parsed.success) return handler(parsed.data, extra);
      const [issue] = parsed.error.issues;
      throw new ProtocolError(ErrorCode.invalidParams, `${issue!.path.join('.')}: ${issue!.message}`);
    };
    Protocol.prototype.setRequestHandler.call(this.#server, loose as never, checked as Handler as never);
  }
}
