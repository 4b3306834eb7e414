import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { Transport } from '@modelcontextprotocol/sdk/shared/transport.js';
import { JSONRPCMessageSchema, type JSONRPCMessage } from '@modelcontextprotocol/sdk/types.js';

const CLI = fileURLToPath(new URL('../../dist/src/cli/main.js', import.meta.url));

/** How `mcp-taskpool serve` ended. */
interface End {
  code: number | null;
  signal: NodeJS.Signals | null;
}

/** `mcp-taskpool serve`, or another server, as a child process, of whose standard output every line is looked at. */
export class ChildTransport implements Transport {
  onclose?: () => void;
  onerror?: (error: Error) => void;
  onmessage?: NonNullable<Transport['onmessage']>;
  /** Lines of standard output that are no message. */
  readonly strayLines: string[] = [];
  /** Resolves when its streams have ended, too. */
  readonly ended: Promise<End>;
  readonly #child: ChildProcess;
  readonly #stderr: Buffer[] = [];
  /** The line that has not ended yet, in pieces. */
  #rest: string[] = [];

  /** @param script the server, and what comes before the arguments */
  constructor(
    args: readonly string[],
    environment: Readonly<Record<string, string>> = {},
    script: readonly string[] = [CLI, 'serve', '--store', 'memory'],
  ) {
    this.#child = spawn(process.execPath, [...script, ...args], {
      env: { ...process.env, ...environment },
      stdio: 'pipe',
    });
    this.#child.stdout!.setEncoding('utf8').on('data', (chunk: string) => this.#read(chunk));
    this.#child.stderr!.on('data', (chunk: Buffer) => void this.#stderr.push(chunk));
    // It may have ended before what is written to it.
    this.#child.stdin!.on('error', () => {});
    this.ended = once(this.#child, 'close').then(([code, signal]) => {
      if (this.#rest.length > 0) this.strayLines.push(this.#rest.join('').slice(0, 200));
      this.onclose?.();
      return { code, signal };
    });
  }

  get pid(): number {
    return this.#child.pid!;
  }

  get stderr(): string {
    return Buffer.concat(this.#stderr).toString();
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  async start(): Promise<void> {}

  send(message: JSONRPCMessage): Promise<void> {
    return this.write(`${JSON.stringify(message)}\n`);
  }

  /** Writes to its standard input, a message or not. Resolves when it has been taken, or never will be. */
  write(text: string): Promise<void> {
    return new Promise((resolve) => this.#child.stdin!.write(text, () => resolve()));
  }

  /** Ends its input, as a client does that is done, and waits for its end. */
  async close(): Promise<void> {
    this.#child.stdin!.end();
    const late = setTimeout(() => this.#child.kill('SIGKILL'), 5000);
    await this.ended;
    clearTimeout(late);
  }

  #read(chunk: string): void {
    const [first = '', ...others] = chunk.split('\n');
    this.#rest.push(first);
    if (others.length === 0) return;
    const rest = others.pop()!;
    const lines = [this.#rest.join(''), ...others];
    this.#rest = rest === '' ? [] : [rest];
    for (const line of lines) {
      let message: JSONRPCMessage;
      try {
        message = JSONRPCMessageSchema.parse(JSON.parse(line));
      } catch {
        this.strayLines.push(line.slice(0, 200));
        continue;
      }
      this.onmessage?.(message);
    }
  }
}
