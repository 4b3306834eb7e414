import type {
  CallToolResult,
  ContentBlock,
  CreateMessageRequest,
  CreateMessageResult,
  ToolAnnotations,
} from '@modelcontextprotocol/sdk/types.js';
import type { z } from 'zod';

/** How a tool may be called: as a task only, either way, or never as a task (2025-11-25, tasks, "Tool-Level Negotiation"). */
export type TaskSupport = 'required' | 'optional' | 'forbidden';

/** `cpu`: alone on its thread. `io`: many share one thread, and each must give way by awaiting. */
export type Workload = 'cpu' | 'io';

/** RFC 5424 severities, as `notifications/message` carries them. */
export type LogLevel = 'debug' | 'info' | 'notice' | 'warning' | 'error' | 'critical' | 'alert' | 'emergency';

/**
 * What the user is asked: to fill in a form, which has one level of strings, numbers, booleans and enums, or to visit
 * a page (2025-11-25, elicitation). `key` is what clients of 2026-07-28 know the question by, one question of a run
 * alone; without it the server makes one up.
 */
export type InputRequest<Form extends z.ZodObject | object = z.ZodObject | object> = { key?: string } & (
  | { mode?: 'form'; message: string; requestedSchema: Form }
  | { mode: 'url'; message: string; url: string; elicitationId?: string }
);

/** What the user has done: `decline` is a no, and `cancel` no answer. A page that was visited gives no content. */
export type InputAnswer<Content> =
  | { action: 'accept'; content: Content }
  | { action: 'decline' }
  | { action: 'cancel' };

/** What the client's model is asked (2025-11-25, sampling). */
export type SampleRequest = CreateMessageRequest['params'];
export type SampleResult = CreateMessageResult;

/** When a run that failed is made again, and how often. */
export interface RetryOptions {
  /** How often the call is run at most, the first run included. Runs that were interrupted are not counted. */
  attempts: number;
  /**
   * What is waited before the next run: this many milliseconds, at most a day; or one second, and each time twice as
   * long, up to a minute. Default `exponential`.
   */
  backoff?: 'exponential' | number;
  /**
   * Whether another run may do better than the one that threw this. Asked, in the thread, of what the tool throws and of
   * what it leaves for nobody to catch. Has to answer at once; where it throws itself, that is a no. Default: always.
   */
  on?: (error: unknown) => boolean;
}

/** What a handler is given beside its arguments. */
export interface ToolContext {
  /**
   * Aborted when the task is cancelled, times out or expires. `signal.aborted` and
   * `signal.throwIfAborted()` see it inside a synchronous loop too; a check costs some 20 ns.
   */
  readonly signal: AbortSignal;
  /** The task's id; for a plain call the id under which the server runs it. */
  readonly taskId: string;
  /**
   * Which of the task's runs this is, from 1; see {@link ToolOptions.retry} and {@link ToolOptions.idempotent}. A task
   * that waits for an answer when the server stops is run again, too.
   */
  readonly attempt: number;
  /**
   * What the task's run before this one has kept last by {@link ToolContext.checkpoint}, as JSON has it; undefined in
   * the first run, and where nothing was kept. It may come from another version of the tool, so check it.
   */
  readonly checkpointed: unknown;
  /**
   * Keeps a value with the task, in place of the one before: its next run finds it in `checkpointed`, and goes on from
   * there. The value is copied at the call, which takes about twice as long as `JSON.stringify`. Bursts are coalesced to 20 a
   * second, and the last one always arrives, unless the thread is ended before.
   * @param value JSON, of up to 1 MiB
   * @throws {TypeError} when it is not, with the path of what is none
   */
  readonly checkpoint: (value: unknown) => void;
  /**
   * Reports progress. Bursts are coalesced to 20 reports a second, and the last one always arrives.
   * @param done  how much is done; reports that do not rise above the last are dropped
   * @param total how much there is, in the same unit
   */
  readonly progress: (done: number, total?: number, message?: string) => void;
  /** Sends a log message to the client. Bursts are batched; beyond 100 messages in 50 ms the rest is counted and dropped. */
  readonly log: (level: LogLevel, message: string) => void;
  /**
   * Asks the user, by way of the client, and waits; another task has the thread's share of the processors meanwhile,
   * and `timeoutMs` does not run. With a zod object for `requestedSchema` the answer is checked and typed.
   * @throws {Error} when the client cannot ask, or answers with an error, or what the user entered does not fit
   * @throws {TypeError} when `key` is empty, or another question of this run has it
   * @throws {DOMException} (`AbortError`) when the task is cancelled meanwhile
   */
  readonly input: {
    <Form extends z.ZodObject>(
      request: InputRequest<Form> & { requestedSchema: Form },
    ): Promise<InputAnswer<z.output<Form>>>;
    (request: InputRequest): Promise<InputAnswer<Record<string, unknown> | undefined>>;
  };
  /**
   * Asks the client's model, and waits, as {@link ToolContext.input} does.
   * @throws {Error} when the client cannot ask, or answers with an error
   * @throws {DOMException} (`AbortError`) when the task is cancelled meanwhile
   */
  readonly sample: (request: SampleRequest) => Promise<SampleResult>;
}

type ObjectSchema = z.ZodObject;

/** What a handler may return when it has no `output` schema. */
type FreeReturn =
  | string
  | number
  | boolean
  | undefined
  | void
  | object
  | ContentBlock
  | ContentBlock[]
  | CallToolResult;

/** With an `output` schema: the object it describes, or a full result that carries it as `structuredContent`. */
type CheckedReturn<Output extends ObjectSchema> =
  | z.input<Output>
  | (CallToolResult & { structuredContent: z.input<Output> })
  | (CallToolResult & { isError: true });

type Return<Output> = Output extends ObjectSchema ? CheckedReturn<Output> : FreeReturn;

export interface ToolOptions<
  Input extends ObjectSchema = ObjectSchema,
  Output extends ObjectSchema | undefined = undefined,
  Prepared = z.output<Input>,
> {
  /** The name that clients call. Default: the module's file name without its extension. */
  name?: string;
  title?: string;
  description: string;
  /** Checked before a task exists; its parsed value is the handler's first argument, unless there is `prepare`. */
  input: Input;
  /** Checked in the worker thread before the result leaves it. */
  output?: Output;
  annotations?: ToolAnnotations;
  /** Default `optional`. */
  task?: TaskSupport;
  /** Default `cpu`. */
  workload?: Workload;
  /** How long one run may take, counted from its start, not from when it was queued. Default: no limit. */
  timeoutMs?: number;
  /**
   * What the JavaScript heap of the tool's thread may hold, in megabytes. Buffers are not in it; the
   * server's own limit counts them. The thread of `io` tools has the highest limit of them all. Default 512.
   */
  maxMemoryMb?: number;
  /**
   * Names of the variables of the environment that the tool needs, beside PATH, HOME, LANG, TZ and NODE_ENV. All
   * tools of the server see them, once it has started.
   */
  env?: readonly string[];
  /** How large a result may be, as JSON, in megabytes; a larger one fails. Default: the server's `maxResultMb`. */
  maxResultMb?: number;
  /** How long a task is kept from its creation, where the caller asks for nothing else. */
  ttlMs?: number;
  /** The pause between polls that is suggested to clients. */
  pollIntervalMs?: number;
  /**
   * A run may be made again, whole or from its last {@link ToolContext.checkpoint}, without harm: so a task whose
   * server, or whose tools' process, stopped while it ran (or its shared thread, for what another did) is run again,
   * and not failed. A second such end fails it.
   * Default `false`.
   */
  idempotent?: boolean;
  /**
   * A run that throws, runs out of time or memory, or takes its thread along is made again; and one that was
   * interrupted, as with `idempotent`. Only for a tool that is safe to repeat. Results with `isError`, arguments or results
   * that do not fit, and cancellations are final. Default: a failure is final.
   */
  retry?: RetryOptions;
  /**
   * Runs before `run`, in a thread too, and gives what `run` gets in place of the arguments: the place to ask the
   * user what is to be known beforehand. On 2026-07-28 that is before a task exists, and the call is made anew
   * with the answers (basic/patterns, "Multi Round-Trip Requests"): `prepare` then runs from its beginning again, and its
   * first questions are answered at once. So it should ask in the same order each time, and do nothing but ask
   * and look. Write it before `run`, for TypeScript to know the type of what it gives. What it gives has to be JSON.
   */
  prepare?(args: z.output<Input>, context: ToolContext): Prepared | Promise<Prepared>;
  run(args: Prepared, context: ToolContext): Return<Output> | Promise<Return<Output>>;
}

const TOOL = Symbol.for('mcp-taskpool.tool');
/** Below it, a thread may not even start. */
const LEAST_MEMORY_MB = 16;
/** A task is gone by then. */
const LONGEST_BACKOFF_MS = 24 * 60 * 60 * 1000;
const CONTENT = Symbol.for('mcp-taskpool.content');

export type Tool<
  Input extends ObjectSchema = ObjectSchema,
  Output extends ObjectSchema | undefined = ObjectSchema | undefined,
  Prepared = z.output<Input>,
> = ToolOptions<Input, Output, Prepared> & { readonly [TOOL]: true };

/** What a caller passes to the tool. */
export type ToolInput<T> = T extends { input: infer I extends ObjectSchema } ? z.input<I> : never;
/** What a caller gets as the tool's structured content. */
export type ToolOutput<T> = T extends { output?: infer O }
  ? O extends ObjectSchema
    ? z.output<O>
    : unknown
  : unknown;

/**
 * Defines a tool. A module in the tools folder has it as its default export.
 * @throws {TypeError} when a part is missing or of the wrong kind, naming it
 */
export function defineTool<
  Input extends ObjectSchema,
  Output extends ObjectSchema | undefined = undefined,
  Prepared = z.output<Input>,
>(options: ToolOptions<Input, Output, Prepared>): Tool<Input, Output, Prepared> {
  const problem = optionsProblem(options);
  if (problem !== undefined) throw new TypeError(`defineTool: ${problem}`);
  return { ...options, [TOOL]: true };
}

/** Whether a module's default export was made by {@link defineTool}, from whatever copy of this package. */
export function isTool(value: unknown): value is Tool {
  return typeof value === 'object' && value !== null && TOOL in value;
}

function optionsProblem(
  options: Omit<ToolOptions<ObjectSchema, ObjectSchema | undefined>, 'prepare' | 'run'> & {
    prepare?: unknown;
    run: unknown;
  },
): string | undefined {
  if (typeof options !== 'object' || options === null)
    return 'expected an object with description, input and run';
  if (typeof options.description !== 'string') return '`description` must be a string';
  if (!isObjectSchema(options.input)) return '`input` must be a zod object: z.object({ … })';
  if (options.output !== undefined && !isObjectSchema(options.output))
    return '`output` must be a zod object: z.object({ … })';
  if (typeof options.run !== 'function') return '`run` must be a function';
  if (options.prepare !== undefined && typeof options.prepare !== 'function')
    return '`prepare` must be a function';
  // 2025-11-25, tools, "Tool Names".
  if (options.name !== undefined && !/^[A-Za-z0-9_.-]{1,128}$/.test(options.name))
    return '`name` may have 1 to 128 letters, digits, and the characters _ - .';
  if (options.task !== undefined && !['required', 'optional', 'forbidden'].includes(options.task))
    return "`task` must be 'required', 'optional' or 'forbidden'";
  if (options.workload !== undefined && !['cpu', 'io'].includes(options.workload))
    return "`workload` must be 'cpu' or 'io'";
  for (const key of ['timeoutMs', 'ttlMs', 'pollIntervalMs'] as const) {
    const value = options[key];
    if (value !== undefined && !(Number.isFinite(value) && value > 0))
      return `\`${key}\` must be a positive number of milliseconds`;
  }
  if (options.env !== undefined && !isNames(options.env)) return '`env` must be an array of names';
  if (options.maxResultMb !== undefined && !(options.maxResultMb > 0))
    return '`maxResultMb` must be a positive number of megabytes';
  if (options.maxMemoryMb !== undefined && !(options.maxMemoryMb >= LEAST_MEMORY_MB))
    return `\`maxMemoryMb\` must be a number of megabytes, at least ${LEAST_MEMORY_MB}`;
  if (options.idempotent !== undefined && typeof options.idempotent !== 'boolean')
    return '`idempotent` must be true or false';
  return options.retry === undefined ? undefined : retryProblem(options.retry);
}

function retryProblem(retry: RetryOptions): string | undefined {
  if (typeof retry !== 'object' || retry === null)
    return '`retry` must be an object: { attempts, backoff?, on? }';
  const { attempts, backoff = 'exponential', on } = retry;
  if (!Number.isSafeInteger(attempts) || attempts < 1)
    return '`retry.attempts` must be a whole number, at least 1: how often the call is run at most';
  if (
    backoff !== 'exponential' &&
    !(Number.isFinite(backoff) && backoff >= 0 && backoff <= LONGEST_BACKOFF_MS)
  )
    return `\`retry.backoff\` must be 'exponential' or a number of milliseconds from 0 to ${LONGEST_BACKOFF_MS}`;
  if (on !== undefined && typeof on !== 'function') return '`retry.on` must be a function';
  return undefined;
}

function isNames(value: unknown): boolean {
  return Array.isArray(value) && value.every((name) => typeof name === 'string');
}

/** Whether a value is a zod object, from whatever copy of zod. */
export function isObjectSchema(value: unknown): value is ObjectSchema {
  const def = (value as { _zod?: { def?: { type?: string } } } | undefined)?._zod?.def;
  return def?.type === 'object';
}

/** A block of text in a tool's result. */
export function text(value: string): ContentBlock {
  return content({ type: 'text', text: value });
}

/**
 * An image in a tool's result.
 * @param data the encoded file: bytes, or a base64 string
 */
export function image(data: Uint8Array | string, mimeType: string): ContentBlock {
  return content({ type: 'image', data: base64(data), mimeType });
}

/**
 * A sound in a tool's result.
 * @param data the encoded file: bytes, or a base64 string
 */
export function audio(data: Uint8Array | string, mimeType: string): ContentBlock {
  return content({ type: 'audio', data: base64(data), mimeType });
}

/** A link to something that the client can fetch by itself. */
export function resourceLink(
  uri: string,
  name: string,
  options: { title?: string; description?: string; mimeType?: string } = {},
): ContentBlock {
  return content({ type: 'resource_link', uri, name, ...options });
}

/** Whether a handler's return value came from one of the helpers above, from whatever copy of this package. */
export function isContent(value: unknown): value is ContentBlock {
  return typeof value === 'object' && value !== null && CONTENT in value;
}

// Marked, so that an object which merely looks like a content block stays structured content.
function content(block: ContentBlock): ContentBlock {
  return Object.defineProperty(block, CONTENT, { value: true });
}

function base64(data: Uint8Array | string): string {
  return typeof data === 'string'
    ? data
    : Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString('base64');
}
