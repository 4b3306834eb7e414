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
import type { RunObserver } from '../tasks/observer.ts';
import { keyOf } from '../tasks/question.ts';
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
import { callTaskTool } from './2026-07-28-task-tools.ts';
import { isSevere } from './log-levels.ts';
import { refusing } from './questions.ts';
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
    server.setRequestHandler('tools/list', () => ({ tools: this.#definitions() as never }));
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

  #definitions(): object[] {
    const { toolbox, taskTools } = this.#service;
    return [...toolbox.values().map(({ definition }) => definition), ...(taskTools?.definitions ?? [])];
  }

  async #callTool({ params }: CallToolRequest, context: ServerContext): Promise<Result> {
    const stream = this.#stream(context, params.name);
    try {
      return await this.#answerCall(params, context, stream);
    } finally {
      stream.close();
    }
  }

  async #answerCall(
    { name, arguments: args = {} }: CallToolRequest['params'],
    context: ServerContext,
    stream: Request,
  ): Promise<Result> {
    const { engine, toolbox, taskTools } = this.#service;
    const owner = this.#ownerOf(context);
    const tool = toolbox.get(name);
    const of = digest(owner, name, args);
    const state = this.#states.check(context.mcpReq.requestState<RoundState>(), of);
    const answers = answersOf(context.mcpReq.inputResponses);
    if (tool === undefined && taskTools?.has(name)) {
      const answered = state?.step === 'check' ? { taskId: state.taskId, answers } : undefined;
      const came = await callTaskTool(taskTools, engine, { name, args, owner, answered }, stream);
      if ('result' in came) return came.result;
      return this.#states.ask({ of, step: 'check', taskId: came.taskId }, encodeQuestions(came.questions));
    }
    if (tool === undefined) throw new ProtocolError(ErrorCode.invalidParams, `Unknown tool: ${name}`);
    if (tool.task === 'required' && !hasTasks(stream.capabilities)) {
      throw missingTasks(taskTools && `Tool ${name} can only be called as a task: start it with start_task`);
    }
    const problem = toolbox.problem(tool, args);
    if (problem !== undefined) return { content: [{ type: 'text', text: problem }], isError: true };

    let call = toolbox.call(tool, args);
    if (state?.step === 'run') {
      const parked = this.#parked.get(state.run);
      if (parked === undefined) throw invalidState();
      parked.answer(answers);
      return this.#advance(parked, stream, of);
    }
    if (tool.prepares) {
      const entries = fillIn(state?.step === 'prepare' ? state.answers : [], answers);
      const prepared = await prepare(engine, { owner, call, entries, given: answers }, stream);
      if (prepared.type === 'ended') return encodeResult(prepared.task);
      if (prepared.type === 'asks') {
        const questions = prepared.questions.map((asked) => ({ ...asked, key: keyOf(asked) }));
        const next: RoundState = { of, step: 'prepare', answers: prepared.entries };
        return this.#states.ask(next, encodeQuestions(questions));
      }
      call = { ...call, prepared: { value: prepared.value } };
    }
    const { ttlMs, pollIntervalMs } = tool;
    const idempotencyKey = idempotencyKeyOf(context.mcpReq._meta);
    const wanted = { owner, call, ttlMs, pollIntervalMs, idempotencyKey };
    if (tool.task === 'forbidden' || !hasTasks(stream.capabilities)) {
      return this.#advance(this.#parked.start(wanted, stream), stream, of);
    }
    // What the client can be asked waits for `tasks/update`.
    return encodeCreated(await engine.create(wanted, refusing(stream.capabilities)));
  }

  async #advance(call: ParkedCall, request: Request, of: string): Promise<Result> {
    const stop = await call.next(request);
    if ('task' in stop) {
      call.refusals.check(stop.task.outcome);
      return encodeResult(stop.task);
    }
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
    // What is for no question that is open is passed over (ext-tasks, "Task Update Requests").
    const { questions = [] } = await engine.get(owner, taskId);
    const unread = [...Object.keys(inputResponses), ...droppedInputResponseKeys].filter(
      (key) => !answers.has(key) && questions.some((question) => question.key === key),
    );
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

  /** Where a call reports: on the stream of its request, to who asked for it. */
  #stream({ mcpReq }: ServerContext, tool: string): Request & { close(): void } {
    const { heartbeats, log } = this.#service;
    const token = mcpReq._meta?.progressToken;
    const level = envelopeOf(mcpReq)[LOG_LEVEL_META_KEY];
    const send = (method: string, params: Result) => {
      mcpReq.notify({ method, params }).catch((error: unknown) => {
        log.warn({ err: error, method }, 'a notification was not delivered');
      });
    };
    const progress =
      token === undefined
        ? undefined
        : heartbeats.open((progress) => send('notifications/progress', encodeProgress(token, progress)));
    const observerOf = (of: string): RunObserver => ({
      ...(progress !== undefined && {
        attached: (view) => progress.attached(view),
        progress: (report) => progress.report(report),
      }),
      ...(level !== undefined && {
        log: (entries) => {
          for (const entry of entries) {
            if (!isSevere(entry.level, level)) continue;
            send('notifications/message', { level: entry.level, data: entry.message, logger: of });
          }
        },
      }),
    });
    const capabilities = envelopeOf(mcpReq)[CLIENT_CAPABILITIES_META_KEY];
    const close = () => progress?.close();
    return { signal: mcpReq.signal, capabilities, observer: observerOf(tool), observerOf, close };
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

/** @param message in place of the SDK's */
export function missingTasks(message?: string): MissingRequiredClientCapabilityError {
  const requiredCapabilities = { extensions: { [TASKS_EXTENSION]: {} } };
  return new MissingRequiredClientCapabilityError({ requiredCapabilities }, message);
}
