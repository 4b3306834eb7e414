import type { z } from 'zod';
import { ErrorCode, ProtocolError } from '../errors.ts';
import type { Engine } from '../tasks/engine.ts';
import type { Log } from '../tasks/log.ts';
import type { Observer, RunObserver, TaskView } from '../tasks/observer.ts';
import { isTerminal } from '../tasks/task.ts';
import type { LookUps } from './look-ups.ts';
import { encodeChecked, encodeRecord, errorResult, structured, type Result } from './task-tools-encode.ts';
import {
  CANCEL,
  CHECK,
  LIST,
  START,
  TASK_TOOL_NAMES,
  taskToolDefinitions,
  type TaskToolName,
} from './task-tools-schema.ts';
import type { ServedTool, Toolbox } from './tools.ts';

/** What the task tools work with. */
interface TaskService {
  readonly engine: Engine;
  readonly toolbox: Toolbox;
  readonly lookUps: LookUps;
  readonly log: Log;
  /** Tasks in one page, where the caller does not say. */
  readonly pageSize: number;
}

/** Who calls a task tool. */
export interface TaskToolCaller {
  readonly owner: string;
  /** Aborted when nobody waits for the answer any more. */
  readonly signal: AbortSignal;
  /** Gives who is told of a run of this tool while `check_task` waits for its end; questions are put there. */
  readonly observerOf?: (tool: string) => RunObserver;
  /**
   * Follows each task that is started, until its end. It must be the same object for all the calls of a client:
   * a task that is started again with its idempotency key would have it twice otherwise.
   */
  readonly follower?: Observer;
}

/**
 * Tasks for clients that know none, as four ordinary tools. What goes wrong is an error result, for it is the
 * model that has to put it right.
 */
export class TaskTools {
  /** As `tools/list` shows them. */
  readonly definitions: readonly ServedTool['definition'][];
  readonly #service: TaskService;

  constructor(service: TaskService) {
    this.#service = service;
    this.definitions = taskToolDefinitions(service.toolbox.values());
  }

  has(name: string): name is TaskToolName {
    return (TASK_TOOL_NAMES as readonly string[]).includes(name);
  }

  /**
   * Answers a call of one of the four.
   * @returns a CallToolResult
   * @throws the signal's reason when it is aborted while `check_task` waits
   */
  async call(
    name: TaskToolName,
    args: Readonly<Record<string, unknown>>,
    caller: TaskToolCaller,
  ): Promise<Result> {
    try {
      switch (name) {
        case 'start_task':
          return await this.#start(parse(name, START, args), caller);
        case 'check_task':
          return await this.#check(parse(name, CHECK, args), caller);
        case 'cancel_task':
          return await this.#cancel(parse(name, CANCEL, args), caller);
        case 'list_tasks':
          return await this.#list(parse(name, LIST, args), caller);
      }
    } catch (error) {
      if (error instanceof ProtocolError) return errorResult(error.message);
      throw error;
    }
  }

  async #start(wanted: z.output<typeof START>, { owner, follower }: TaskToolCaller): Promise<Result> {
    const { engine, toolbox } = this.#service;
    const { tool: name, arguments: args, ttlSeconds, idempotencyKey } = wanted;
    const tool = toolbox.get(name);
    if (tool === undefined || tool.task === 'forbidden') throw this.#notStartable(name, tool);
    const problem = toolbox.problem(tool, args);
    if (problem !== undefined) throw invalid(problem);
    const view = await engine.create(
      {
        owner,
        call: toolbox.call(tool, args),
        ttlMs: ttlSeconds === undefined ? tool.ttlMs : ttlSeconds * 1000,
        pollIntervalMs: tool.pollIntervalMs,
        idempotencyKey,
      },
      follower,
    );
    const record = encodeRecord(view);
    return structured({ ...record, next: `Call check_task with taskId ${record.taskId} to get the result` });
  }

  async #check(wanted: z.output<typeof CHECK>, caller: TaskToolCaller): Promise<Result> {
    const { engine, lookUps, log } = this.#service;
    const { taskId, waitSeconds } = wanted;
    const { owner } = caller;
    let view = await lookUps.make(owner, () => engine.get(owner, taskId));
    if (!isTerminal(view.task) && waitSeconds > 0) view = await this.#wait(view, waitSeconds, caller);
    if (isTerminal(view.task)) log.info({ taskId, owner }, 'result retrieved');
    return encodeChecked(view);
  }

  /** Waits for the end of a task, and no longer than this. */
  async #wait(
    { task }: TaskView,
    waitSeconds: number,
    { owner, signal, observerOf }: TaskToolCaller,
  ): Promise<TaskView> {
    const { engine } = this.#service;
    const enough = new AbortController();
    const timer = setTimeout(() => enough.abort(), waitSeconds * 1000);
    try {
      const either = AbortSignal.any([signal, enough.signal]);
      return { task: await engine.ended(owner, task.taskId, either, observerOf?.(task.call.tool)) };
    } catch (error) {
      if (signal.aborted || !enough.signal.aborted) throw error;
      return await engine.get(owner, task.taskId);
    } finally {
      clearTimeout(timer);
    }
  }

  async #cancel({ taskId }: z.output<typeof CANCEL>, { owner }: TaskToolCaller): Promise<Result> {
    const { engine, lookUps } = this.#service;
    return structured(encodeRecord(await lookUps.make(owner, () => engine.cancel(owner, taskId))));
  }

  async #list({ cursor, limit }: z.output<typeof LIST>, { owner }: TaskToolCaller): Promise<Result> {
    const { engine, pageSize } = this.#service;
    const { views, nextCursor } = await engine.list(owner, cursor, limit ?? pageSize);
    return structured({ tasks: views.map(encodeRecord), ...(nextCursor !== undefined && { nextCursor }) });
  }

  #notStartable(name: string, tool: ServedTool | undefined): ProtocolError {
    if (tool !== undefined) return invalid(`Tool ${name} cannot be started as a task: call it directly`);
    const { toolbox } = this.#service;
    const others = toolbox.values().filter(({ task }) => task !== 'forbidden');
    const names = others.map(({ definition }) => definition.name).join(', ');
    return invalid(
      `Invalid arguments for tool start_task: tool: there is no ${JSON.stringify(name)}, but ${names}`,
    );
  }
}

function parse<S extends z.ZodObject>(
  name: TaskToolName,
  schema: S,
  args: Readonly<Record<string, unknown>>,
): z.output<S> {
  const parsed = schema.safeParse(args);
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.map(
    ({ path, message }) => `${path.length === 0 ? 'arguments' : path.join('.')}: ${message}`,
  );
  throw invalid(`Invalid arguments for tool ${name}: ${problems.join('; ')}`);
}

function invalid(message: string): ProtocolError {
  return new ProtocolError(ErrorCode.invalidParams, message);
}
