import {
  CLIENT_CAPABILITIES_META_KEY,
  LOG_LEVEL_META_KEY,
  MissingRequiredClientCapabilityError,
  type CallToolRequest,
  type ClientCapabilities,
  type Server,
  type ServerContext,
} from '@modelcontextprotocol/server';
import { z } from 'zod';
import { ErrorCode, ProtocolError, TaskEndedError } from '../errors.ts';
import type { Observer } from '../tasks/observer.ts';
import { keyOf } from '../tasks/question.ts';
import type { Call } from '../tasks/task.ts';
import { encodeCreated, encodeDetailed, encodeQuestions, encodeResult } from './2026-07-28-encode.ts';
import { ParkedCalls, type ParkedCall, type Request } from './2026-07-28-parked.ts';
import { prepare } from './2026-07-28-prepare.ts';
import {
  RoundStates,
  answersOf,
  digest,
  fillIn,
  invalidState,
  type RoundState,
} from './2026-07-28-rounds.ts';
import { TasksServer } from './2026-07-28-server.ts';
import { isSevere } from './log-levels.ts';
import { incapable } from './questions.ts';
import { idempotencyKeyOf, type Service } from './service.ts';
import { encodeProgress } from './status.ts';

/** The tasks extension. */
const TASKS_EXTENSION = 'io.modelcontextprotocol/tasks';

const TaskId = z.looseObject({ taskId: z.string() });
/** The tools stay the same for as long as the server runs; it may be another one soon. */
const TOOLS_TTL_MS = 60_000;

type Result = Record<string, unknown>;

/**
 * Speaks revision 2026-07-28 with the tasks extension: what the client may have as a task becomes one, where the
 * tool allows it (ext-tasks, "Capability Negotiation": the server decides). Every request says by itself who makes
 * it and what the client can do, so one of these serves them all.
 */
export class Requests {
  readonly #service: Service;
  readonly #states = new RoundStates();
  readonly #parked: ParkedCalls;

  constructor(service: Service) {
    this.#service = service;
    this.#parked = new ParkedCalls(service);
  }

  /** An SDK server that answers from here: for one request over HTTP, or one connection over stdio. */
  server(): Server {
    const { info, instructions } = this.#service;
    const server = new TasksServer(info, {
      capabilities: { tools: {}, logging: {}, extensions: { [TASKS_EXTENSION]: {} } },
      ...(instructions !== undefined && { instructions }),
      cacheHints: { 'tools/list': { ttlMs: TOOLS_TTL_MS, cacheScope: 'public' } },
      requestState: { verify: this.#states.verify },
    });
    server.setRequestHandler('tools/list', () => ({
      tools: this.#service.toolbox.values().map(({ definition }) => definition) as never,
    }));
    server.setRequestHandler(
      'tools/call',
      (request, context) => this.#callTool(request, context) as Promise<never>,
    );
    const params = { params: TaskId };
    server.setRequestHandler('tasks/get', params, ({ taskId }, context) => this.#getTask(taskId, context));
    server.setRequestHandler('tasks/update', params, ({ taskId }, context) =>
      this.#updateTask(taskId, context),
    );
    server.setRequestHandler('tasks/cancel', params, ({ taskId }, context) =>
      this.#cancelTask(taskId, context),
    );
    return server;
  }

  async #callTool({ params }: CallToolRequest, context: ServerContext): Promise<Result> {
    const { name, arguments: args = {} } = params;
    const { toolbox } = this.#service;
    const tool = toolbox.get(name);
    if (tool === undefined) throw new ProtocolError(ErrorCode.invalidParams, `Unknown tool: ${name}`);
    if (tool.task === 'required') requireTasks(capabilitiesOf(context));
    const problem = toolbox.problem(tool, args);
    if (problem !== undefined) return { content: [{ type: 'text', text: problem }], isError: true };

    const owner = this.#ownerOf(context);
    let call = toolbox.call(tool, args);
    const of = digest(owner, call);
    const state = this.#states.check(context.mcpReq.requestState<RoundState>(), of);
    if (state?.step === 'run') return this.#resume(state, context, name);
    if (tool.prepares) {
      const entries = fillIn(state?.answers ?? [], answersOf(context.mcpReq.inputResponses));
      const { capabilities, observer, signal } = this.#request(context, name);
      const { engine } = this.#service;
      const prepared = await prepare(engine, { owner, call, entries }, capabilities, observer, signal);
      if (prepared.type === 'ended') return encodeResult(prepared.task);
      if (prepared.type === 'asks') {
        const questions = prepared.questions.map((asked) => ({ ...asked, key: keyOf(asked) }));
        const next: RoundState = { of, step: 'prepare', answers: prepared.entries };
        return this.#states.ask(next, encodeQuestions(questions));
      }
      call = { ...call, prepared: { value: prepared.value } };
    }
    if (tool.task !== 'forbidden' && hasTasks(capabilitiesOf(context))) {
      return this.#createTask(
        call,
        owner,
        { ttlMs: tool.ttlMs, pollIntervalMs: tool.pollIntervalMs },
        context,
      );
    }
    const wanted = { owner, call, idempotencyKey: idempotencyKeyOf(context.mcpReq._meta) };
    const request = this.#request(context, name);
    return this.#advance(this.#parked.start(wanted, request), request, of);
  }

  async #createTask(
    call: Call,
    owner: string,
    times: { ttlMs: number | undefined; pollIntervalMs: number | undefined },
    context: ServerContext,
  ): Promise<Result> {
    const capabilities = capabilitiesOf(context);
    const idempotencyKey = idempotencyKeyOf(context.mcpReq._meta);
    // All else that is asked waits for `tasks/update`.
    const observer: Observer = {
      asked: (pending) => {
        const problem = incapable(pending.question, capabilities);
        if (problem !== undefined) pending.answer({ type: 'error', message: problem });
      },
    };
    return encodeCreated(
      await this.#service.engine.create({ owner, call, ...times, idempotencyKey }, observer),
    );
  }

  /** Goes on with a plain call whose tool has waited for these answers. */
  async #resume(state: RoundState & { step: 'run' }, context: ServerContext, tool: string): Promise<Result> {
    const call = this.#parked.get(state.run);
    if (call === undefined) throw invalidState();
    call.answer(answersOf(context.mcpReq.inputResponses));
    return this.#advance(call, this.#request(context, tool), state.of);
  }

  async #advance(call: ParkedCall, request: Request, of: string): Promise<Result> {
    const stop = await call.next(request);
    if ('task' in stop) return encodeResult(stop.task);
    return this.#states.ask({ of, step: 'run', run: call.id }, encodeQuestions(stop.questions));
  }

  async #getTask(taskId: string, context: ServerContext): Promise<Result> {
    requireTasks(capabilitiesOf(context));
    const { engine, lookUps } = this.#service;
    const owner = this.#ownerOf(context);
    return encodeDetailed(await lookUps.make(owner, () => engine.get(owner, taskId)));
  }

  async #updateTask(taskId: string, context: ServerContext): Promise<Result> {
    requireTasks(capabilitiesOf(context));
    const { inputResponses, droppedInputResponseKeys = [] } = context.mcpReq;
    const { engine, lookUps, log } = this.#service;
    if (inputResponses === undefined) {
      throw new ProtocolError(ErrorCode.invalidParams, 'params.inputResponses: expected an object');
    }
    const answers = answersOf(inputResponses);
    const owner = this.#ownerOf(context);
    await lookUps.make(owner, () => engine.answer(owner, taskId, answers));
    const unread = [
      ...Object.keys(inputResponses).filter((key) => !answers.has(key)),
      ...droppedInputResponseKeys,
    ];
    if (unread.length > 0) {
      log.warn({ taskId, owner, keys: unread }, 'input responses are no results of what was asked');
      const message = `params.inputResponses.${unread[0]}: expected the result of an input request: an action, or a role with content`;
      throw new ProtocolError(ErrorCode.invalidParams, message);
    }
    return {};
  }

  async #cancelTask(taskId: string, context: ServerContext): Promise<Result> {
    requireTasks(capabilitiesOf(context));
    const { engine, lookUps } = this.#service;
    const owner = this.#ownerOf(context);
    try {
      await lookUps.make(owner, () => engine.cancel(owner, taskId));
    } catch (error) {
      // What has ended needs no cancelling: the intent is acknowledged (ext-tasks, "Task Cancellation").
      if (!(error instanceof TaskEndedError)) throw error;
    }
    return {};
  }

  #ownerOf({ http }: ServerContext): string {
    return this.#service.ownerOf({ authInfo: http?.authInfo });
  }

  /** Where a plain call reports: on the stream of its request, to who asked for it. */
  #request({ mcpReq }: ServerContext, tool: string): Request {
    const token = mcpReq._meta?.progressToken;
    const level = envelopeOf(mcpReq)[LOG_LEVEL_META_KEY];
    const send = (method: string, params: Result) => {
      mcpReq.notify({ method, params }).catch((error: unknown) => {
        this.#service.log.warn({ err: error, method }, 'a notification was not delivered');
      });
    };
    const observer: Observer = {
      ...(token !== undefined && {
        progress: (progress) => send('notifications/progress', encodeProgress(token, progress)),
      }),
      ...(level !== undefined && {
        log: (entries) => {
          for (const entry of entries) {
            if (!isSevere(entry.level, level)) continue;
            send('notifications/message', { level: entry.level, data: entry.message, logger: tool });
          }
        },
      }),
    };
    return {
      signal: mcpReq.signal,
      capabilities: envelopeOf(mcpReq)[CLIENT_CAPABILITIES_META_KEY],
      observer,
    };
  }
}

function capabilitiesOf({ mcpReq }: ServerContext): ClientCapabilities | undefined {
  return envelopeOf(mcpReq)[CLIENT_CAPABILITIES_META_KEY];
}

/** What a request says of its client; the SDK has checked it, and has no type for it. */
function envelopeOf({ envelope = {} }: ServerContext['mcpReq']): {
  readonly [CLIENT_CAPABILITIES_META_KEY]?: ClientCapabilities;
  readonly [LOG_LEVEL_META_KEY]?: string;
} {
  return envelope;
}

export function hasTasks(capabilities: ClientCapabilities | undefined): boolean {
  return capabilities?.extensions?.[TASKS_EXTENSION] !== undefined;
}

/** @throws {MissingRequiredClientCapabilityError} (-32021) where the client has not declared the tasks extension */
function requireTasks(capabilities: ClientCapabilities | undefined): void {
  if (!hasTasks(capabilities)) throw missingTasks();
}

export function missingTasks(): MissingRequiredClientCapabilityError {
  return new MissingRequiredClientCapabilityError({
    requiredCapabilities: { extensions: { [TASKS_EXTENSION]: {} } },
  });
}
