import { fork, type ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Log } from '../tasks/log.ts';
import type { FromExecutor, ToExecutor } from './executor-messages.ts';
import { passOn } from './pass-on.ts';
import { lockdownOptions } from './place.ts';
import type { HostOptions, Link, LinkEvents, ThreadHost, ThreadSpec } from './host.ts';

const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 10_000;
/** Crashes further apart than this are not counted together. */
const CRASH_WINDOW_MS = 60_000;
/** How much of what the process said last is kept, to tell why it died. */
const LAST_WORDS = 8192;
/** What it said last may come a little after its end. */
const LAST_WORDS_MS = 50;

/**
 * Threads of a child process, the executor. If that ends, by a native crash say, all its threads have ended,
 * and the next thread that is opened starts it anew: at once after one crash, and ever later after several.
 *
 * What it and its threads print comes to us through pipes, and goes to our standard error. The runtime says
 * there, too, what the process died of.
 */
export class ProcessHost implements ThreadHost {
  readonly #options: HostOptions;
  readonly #log: Log;
  readonly #links = new Map<number, LinkEvents>();
  #lastLink = 0;
  #child: ChildProcess | undefined;
  /** What is to be sent once the child is started again. */
  #held: ToExecutor[] = [];
  #crashes: number[] = [];
  #restart: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(options: HostOptions, log: Log) {
    this.#options = options;
    this.#log = log;
  }

  open(spec: ThreadSpec, events: LinkEvents): Link {
    const link = ++this.#lastLink;
    this.#links.set(link, events);
    this.#send({ type: 'open', link, spec });
    return {
      post: (message) => this.#links.has(link) && this.#send({ type: 'post', link, message }),
      end: () => this.#send({ type: 'end', link }),
    };
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#restart);
    const child = this.#child;
    if (child !== undefined && isAlive(child)) {
      const ended = new Promise((resolve) => child.once('exit', resolve));
      // Nothing that runs in it is to end well; and it may be blocked.
      child.kill('SIGKILL');
      await ended;
    }
    this.#endAll('the server is closing', 'asked');
  }

  #send(message: ToExecutor): void {
    if (this.#closed) return;
    // What cannot be sent is for a child that has died: its exit is about to be heard of.
    if (this.#child !== undefined) this.#child.send(message, () => {});
    else {
      this.#held.push(message);
      this.#restart ??= setTimeout(() => this.#start(), this.#pause());
    }
  }

  #start(): void {
    this.#restart = undefined;
    const { env, lockdown } = this.#options.place;
    const child = fork(
      fileURLToPath(new URL('./executor.js', import.meta.url)),
      [JSON.stringify(this.#options)],
      {
        serialization: 'advanced',
        env: { ...env },
        execArgv: [...process.execArgv, ...(lockdown === undefined ? [] : lockdownOptions(lockdown))],
        stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
      },
    );
    this.#child = child;
    let lastWords = '';
    passOn(child);
    child.stderr!.on('data', (chunk: Buffer) => {
      lastWords = (lastWords + chunk.toString('latin1')).slice(-LAST_WORDS);
    });
    child.on('message', (message: FromExecutor) => this.#receive(message));
    // It could not be started, or not be sent to or killed; in the first case there is no exit.
    child.on('error', (error) => {
      if (child.pid === undefined) this.#ended(child, `the executor did not start: ${error.message}`);
    });
    child.on('exit', (code, signal) => {
      for (const events of this.#links.values()) events.lost();
      const ended = () => this.#ended(child, causeOf(code, signal, lastWords));
      // A process that a tool has started may hold the pipe open.
      const timer = setTimeout(ended, LAST_WORDS_MS);
      child.stderr!.once('close', () => {
        clearTimeout(timer);
        ended();
      });
    });
    for (const message of this.#held.splice(0)) child.send(message, () => {});
  }

  #receive(message: FromExecutor): void {
    const events = this.#links.get(message.link);
    if (message.type === 'message') events?.message(message.message);
    else {
      this.#links.delete(message.link);
      events?.ended(message.reason, message.kind);
    }
  }

  #ended(child: ChildProcess, reason: string): void {
    if (this.#closed || this.#child !== child) return;
    this.#child = undefined;
    this.#crashes.push(performance.now());
    this.#log.error({ reason, pid: child.pid }, 'the executor ended');
    this.#endAll(reason, 'crash');
  }

  #endAll(reason: string, kind: 'asked' | 'crash'): void {
    const all = [...this.#links.values()];
    this.#links.clear();
    for (const events of all) events.ended(reason, kind);
  }

  /** How long to wait before the next start. */
  #pause(): number {
    const since = performance.now() - CRASH_WINDOW_MS;
    this.#crashes = this.#crashes.filter((at) => at > since);
    const count = this.#crashes.length;
    return count < 2 ? 0 : Math.min(FIRST_PAUSE_MS * 2 ** (count - 2), LONGEST_PAUSE_MS);
  }
}

function isAlive({ pid, exitCode, signalCode }: ChildProcess): boolean {
  return pid !== undefined && exitCode === null && signalCode === null;
}

function causeOf(code: number | null, signal: NodeJS.Signals | null, lastWords: string): string {
  if (/out of memory|invalid (array length|size error)|Allocation failed/i.test(lastWords)) {
    return 'out of memory: a tool took more at once than its limit leaves room for, and its process ended';
  }
  return signal === null
    ? `the tools' process exited with code ${code}`
    : `the tools' process was ended by ${signal}`;
}
