import type { Answer, NumberedQuestion, Question } from '../../tasks/question.ts';
import type {
  InputRequest,
  LogLevel,
  RetryOptions,
  SampleRequest,
  SampleResult,
  ToolContext,
} from '../../tool.ts';
import type { Ask, FromThread, ToThread } from '../messages.ts';
import { Checkpoints } from './checkpoints.ts';
import { decodeInput, encodeInput } from './input.ts';
import { Rehearsal } from './rehearsal.ts';
import { Reporter } from './reporter.ts';
import { cancelled, flaggedController } from './signal.ts';

const LEVELS: readonly LogLevel[] = [
  'debug',
  'info',
  'notice',
  'warning',
  'error',
  'critical',
  'alert',
  'emergency',
];

/** The keys of questions to which the tool gives none. */
const OWN_KEY = /^(input|sample)-\d+$/;

/** What one call of a tool is given. The parts are made when the tool first asks for them: many never do. */
export class CallContext implements ToolContext {
  /** Tells it from all other runs of the thread. */
  readonly run: number;
  readonly taskId: string;
  readonly attempt: number;
  readonly tool: string;
  readonly args: Readonly<Record<string, unknown>>;
  /** The tool's, once that is loaded. */
  retry: RetryOptions | undefined;
  /** It was the tool's own code that threw. */
  threw = false;
  /** What the run before has kept, as JSON's text. */
  readonly #given: string | undefined;
  #checkpointed: { readonly value: unknown } | undefined;
  #checkpoints: Checkpoints | undefined;
  readonly #flags: Int32Array;
  readonly #place: number;
  readonly #send: (message: FromThread) => void;
  #controller: AbortController | undefined;
  #reporter: Reporter | undefined;
  readonly #asks = new Map<
    number,
    { resolve: (result: Readonly<Record<string, unknown>>) => void; reject: (reason: Error) => void }
  >();
  /** The answers to its first questions, where the caller is not there to be asked; see {@link Rehearsal}. */
  readonly #rehearsal: Rehearsal | undefined;
  #lastAsk = 0;
  readonly #unsent: Ask[] = [];
  readonly #keys = new Set<string>();
  #closed = false;

  constructor(
    { run, taskId, tool, args, attempt, checkpoint, place, prepare }: ToThread & { type: 'run' },
    flags: Int32Array,
    send: (message: FromThread) => void,
  ) {
    this.#rehearsal = prepare && new Rehearsal(prepare.answers);
    this.run = run;
    this.taskId = taskId;
    this.tool = tool;
    this.args = args;
    this.attempt = attempt;
    this.#given = checkpoint;
    this.#flags = flags;
    this.#place = place;
    this.#send = send;
  }

  get signal(): AbortSignal {
    this.#controller ??= flaggedController(this.#flags, this.#place);
    return this.#controller.signal;
  }

  get checkpointed(): unknown {
    if (this.#given === undefined) return undefined;
    this.#checkpointed ??= { value: JSON.parse(this.#given) as unknown };
    return this.#checkpointed.value;
  }

  // Properties, so that a tool can take them out of the context.
  readonly checkpoint = (value: unknown): void => {
    if (this.#closed) return;
    const { run } = this;
    this.#checkpoints ??= new Checkpoints((json) => this.#send({ type: 'checkpoint', run, json }));
    this.#checkpoints.keep(value);
  };

  readonly progress = (done: number, total?: number, message?: string): void => {
    this.#report()?.progress({
      done,
      ...(total !== undefined && { total }),
      ...(message !== undefined && { message }),
    });
  };

  readonly log = (level: LogLevel, message: string): void => {
    this.#report()?.log({ level: LEVELS.includes(level) ? level : 'info', message });
  };

  readonly input = async (request: InputRequest): Promise<never> => {
    const { schema, params } = encodeInput(request);
    const { key } = request;
    if (key !== undefined) this.#take(key);
    const result = await this.#ask({ kind: 'input', params, ...(key !== undefined && { key }) });
    return decodeInput(result, schema) as never;
  };

  readonly sample = async (request: SampleRequest): Promise<SampleResult> =>
    (await this.#ask({ kind: 'sample', params: request })) as SampleResult;

  /** Whether the call has been asked to stop. */
  get cancelled(): boolean {
    return this.#flags[this.#place] === 1;
  }

  cancel(): void {
    this.#controller?.abort(cancelled());
    for (const { reject } of this.#asks.values()) reject(cancelled());
    this.#asks.clear();
  }

  /** The caller's answer to a question. */
  answered(ask: number, answer: Answer): void {
    const asked = this.#asks.get(ask);
    this.#asks.delete(ask);
    if (answer.type === 'answer') asked?.resolve(answer.result);
    else asked?.reject(new Error(answer.message));
  }

  /** A client takes a question that has the key of another for that other one. */
  #take(key: string): void {
    if (typeof key !== 'string' || key === '')
      throw new TypeError('input: `key` must be a string that is not empty');
    if (OWN_KEY.test(key)) throw new TypeError(`input: keys such as ${JSON.stringify(key)} are the server's`);
    if (this.#keys.has(key))
      throw new TypeError(`input: the key ${JSON.stringify(key)} is another question's`);
    this.#keys.add(key);
  }

  #ask(question: Question): Promise<Readonly<Record<string, unknown>>> {
    if (this.#closed) throw new Error('The call has ended: nobody can be asked any more');
    if (this.cancelled) throw cancelled();
    const ask = ++this.#lastAsk;
    return new Promise((resolve, reject) => {
      this.#asks.set(ask, { resolve, reject });
      if (this.#rehearsal === undefined) this.#post({ ask, question });
      else this.#rehearsal.ask(question, (answer) => this.answered(ask, answer));
    });
  }

  /** Sends what is asked at once as one message, so that the caller can be asked it at once. */
  #post(asked: Ask): void {
    const { run } = this;
    if (this.#unsent.length === 0) {
      queueMicrotask(() => this.#send({ type: 'ask', run, asks: this.#unsent.splice(0) }));
    }
    this.#unsent.push(asked);
  }

  /** Resolves with the questions that nobody has answered, once there is one; where the caller is not there to be asked. */
  get unanswered(): Promise<readonly NumberedQuestion[]> | undefined {
    return this.#rehearsal?.unanswered;
  }

  /** Sends what is left to report. What the tool reports later is dropped. */
  close(): void {
    this.#closed = true;
    this.#reporter?.close();
    this.#checkpoints?.close();
  }

  #report(): Reporter | undefined {
    if (this.#closed) return undefined;
    const { run } = this;
    this.#reporter ??= new Reporter({
      progress: (progress) => this.#send({ type: 'progress', run, progress }),
      log: (entries) => this.#send({ type: 'log', run, entries }),
    });
    return this.#reporter;
  }
}
