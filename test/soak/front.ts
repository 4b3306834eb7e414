import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const CLI = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url));
/** After which an answer is taken for lost. */
const LOST_MS = 30_000;
const CLOSED_MS = 30_000;

/** What the messages that are sent here may hold. */
export interface Fields {
  readonly taskId?: string;
  readonly status?: string;
  readonly lastUpdatedAt?: string;
  readonly task?: Fields;
  readonly tasks?: readonly Fields[];
  readonly nextCursor?: string;
  readonly progressToken?: string;
  readonly content?: readonly { readonly text?: string }[];
  readonly structuredContent?: Readonly<Record<string, unknown>>;
  readonly isError?: boolean;
}

export interface Answer {
  readonly result?: Fields;
  readonly error?: { readonly code: number; readonly message: string };
}

interface Message extends Answer {
  readonly jsonrpc?: string;
  readonly id?: number | null;
  readonly method?: string;
  readonly params?: Fields;
}

interface Listener {
  notified(method: string, params: Fields): void;
  /** A line of standard error. */
  said(line: string): void;
  violated(what: string): void;
}

/** `mcp-taskpool serve`, spoken to in bare JSON-RPC: nothing stands between what it says and the auditor. */
export class Front {
  readonly #child: ChildProcess;
  readonly #listener: Listener;
  readonly #pending = new Map<number, (answer: Answer) => void>();
  /** Requests that were cancelled: an answer that was under way may still come. */
  readonly #dropped = new Set<number>();
  readonly #ended: Promise<{ code: number | null; signal: string | null }>;
  #lastId = 0;
  /** Lines that were no message, to each of which belongs an error without an id. */
  #garbage = 0;

  constructor(args: readonly string[], listener: Listener) {
    this.#listener = listener;
    this.#child = spawn(process.execPath, [CLI, 'serve', '--store', 'memory', ...args], { stdio: 'pipe' });
    createInterface({ input: this.#child.stdout! }).on('line', (line) => this.#read(line));
    createInterface({ input: this.#child.stderr! }).on('line', (line) => listener.said(line));
    this.#child.stdin!.on('error', () => listener.violated('the server reads no more'));
    this.#ended = once(this.#child, 'close').then(([code, signal]) => ({ code, signal }));
  }

  get pid(): number {
    return this.#child.pid!;
  }

  async initialize(): Promise<void> {
    const clientInfo = { name: 'soak', version: '0' };
    await this.request('initialize', { protocolVersion: '2025-11-25', capabilities: {}, clientInfo });
    this.notify('notifications/initialized', {});
  }

  /** Resolves with the answer; one that does not come is a violation, and an error. */
  request(method: string, params: object): Promise<Answer> {
    return this.open(method, params).answer;
  }

  /** As {@link request}, of a request that may be dropped: its answer is then awaited no more. */
  open(method: string, params: object): { answer: Promise<Answer>; drop: () => void } {
    const id = ++this.#lastId;
    const answer = new Promise<Answer>((resolve) => {
      const lost = setTimeout(() => {
        this.#listener.violated(`no answer to ${method} ${JSON.stringify(params)} within ${LOST_MS} ms`);
        this.#dropped.add(id);
        settle({ error: { code: 0, message: 'lost' } });
      }, LOST_MS);
      const settle = (answer: Answer) => {
        clearTimeout(lost);
        this.#pending.delete(id);
        resolve(answer);
      };
      this.#pending.set(id, settle);
    });
    this.#write({ jsonrpc: '2.0', id, method, params });
    const drop = () => {
      const settle = this.#pending.get(id);
      if (settle === undefined) return;
      this.#dropped.add(id);
      this.notify('notifications/cancelled', { requestId: id });
      settle({ error: { code: 0, message: 'dropped' } });
    };
    return { answer, drop };
  }

  notify(method: string, params: object): void {
    this.#write({ jsonrpc: '2.0', method, params });
  }

  /** Writes a line that is no message. */
  babble(line: string): void {
    this.#garbage++;
    this.#child.stdin!.write(`${line}\n`);
  }

  /** Ends its input, and checks that it ends by itself. */
  async close(): Promise<void> {
    this.#child.stdin!.end();
    const late = setTimeout(() => {
      this.#listener.violated(`the server has not ended ${CLOSED_MS} ms after its input`);
      this.#child.kill('SIGKILL');
    }, CLOSED_MS);
    const end = await this.#ended;
    clearTimeout(late);
    if (end.code !== 0) this.#listener.violated(`the server ended with ${JSON.stringify(end)}`);
  }

  #write(message: object): void {
    this.#child.stdin!.write(`${JSON.stringify(message)}\n`);
  }

  #read(line: string): void {
    let message: Message | undefined;
    try {
      message = JSON.parse(line) as Message;
    } catch {
      message = undefined;
    }
    if (message?.jsonrpc !== '2.0') {
      this.#listener.violated(`on standard output: ${line.slice(0, 200)}`);
    } else if (message.method !== undefined) this.#listener.notified(message.method, message.params ?? {});
    else this.#answered(message, line);
  }

  #answered(message: Message, line: string): void {
    const { id = null } = message;
    const settle = id === null ? undefined : this.#pending.get(id);
    if (settle !== undefined) settle(message);
    else if (message.error !== undefined && id === null && this.#garbage > 0) this.#garbage--;
    else if (id === null || !this.#dropped.delete(id))
      this.#listener.violated(`an answer to nothing: ${line.slice(0, 200)}`);
  }
}
