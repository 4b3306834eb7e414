import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Caller } from './caller.ts';
import type { Place } from './place.ts';

const CLI = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url));
const TOOLS = fileURLToPath(new URL('./tools/', import.meta.url));
/** Where it is still there so long after it was told to end, it is not going to. */
const STOPPED_MS = 20_000;
const MOST_KEPT = 20_000;

/**
 * `mcp-taskpool serve`, as a process of its own that can be killed: over HTTP with tokens, so that it has several owners,
 * which are the same at the next server, and at another on the same file. Over stdio there is one client and one owner.
 */
export class Server {
  /** From the start of the process until it listens. */
  readonly startMs: number;
  readonly callers: readonly Caller[];
  /** Processes that it has started. */
  readonly children = new Set<number>();
  readonly #process: Spawned;

  private constructor(process: Spawned, url: string, place: Place) {
    this.#process = process;
    this.startMs = performance.now() - process.since;
    this.callers = place.owners.map(({ name, token }) => new Caller(url, name, token));
    this.#look();
  }

  /**
   * Starts one that keeps its tasks in this file.
   * @throws {Error} when it ends before it listens, with what it wrote to standard error
   */
  static async start(place: Place, file: string): Promise<Server> {
    const process = Server.launch(place, file);
    const url = await process.listening;
    if (url === undefined) throw new Error(`The server ended before it listened:\n${process.said()}`);
    return new Server(process, url, place);
  }

  /** As {@link start}, of one that may be killed meanwhile. */
  static launch(place: Place, file: string): Spawned {
    const options = {
      tools: TOOLS,
      http: '0',
      store: `sqlite:${file}`,
      'token-file': place.tokens,
      threads: '2',
      isolation: 'process',
      drain: '0.3',
      'rate-limit': '1000000',
    };
    const args = Object.entries(options).flatMap(([name, value]) => [`--${name}`, value]);
    const since = performance.now();
    const child = spawn(process.execPath, [CLI, 'serve', ...args], {
      env: { ...process.env, CHAOS_STARTS: place.starts },
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    let stderr = '';
    const ended = once(child, 'close').then(([code]) => code as number | null);
    const listening = new Promise<string | undefined>((resolve) => {
      child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
        stderr = (stderr + chunk).slice(-MOST_KEPT);
        const [url] = /http:\/\/\S+\/mcp/.exec(stderr) ?? [];
        if (url !== undefined) resolve(url);
      });
      void ended.then(() => resolve(undefined));
    });
    const kill = async () => {
      const children = childrenOf(child.pid!);
      child.kill('SIGKILL');
      await ended;
      return children;
    };
    return { child, since, listening, ended, kill, said: () => stderr };
  }

  get said(): string {
    return this.#process.said();
  }

  /** Kills it as it stands: nothing of it runs any more when this resolves. */
  async kill(): Promise<void> {
    this.#look();
    this.#process.child.kill('SIGKILL');
    await this.#process.ended;
  }

  /** Kills the process in which its tools run, and whatever else it has started. */
  killTools(): number[] {
    this.#look();
    const all = childrenOf(this.#process.child.pid!);
    for (const pid of all) process.kill(pid, 'SIGKILL');
    return all;
  }

  /**
   * Tells it to end, and waits until it has.
   * @returns its exit code; null where it had to be killed
   */
  async stop(): Promise<number | null> {
    this.#look();
    this.#process.child.kill('SIGTERM');
    const late = setTimeout(() => this.#process.child.kill('SIGKILL'), STOPPED_MS);
    const code = await this.#process.ended;
    clearTimeout(late);
    return code;
  }

  #look(): void {
    for (const pid of childrenOf(this.#process.child.pid!)) this.children.add(pid);
  }
}

export interface Spawned {
  readonly child: ChildProcess;
  readonly since: number;
  /** Resolves with where it listens; undefined where it has ended before. */
  readonly listening: Promise<string | undefined>;
  /** Resolves with its exit code; null where it was killed. */
  readonly ended: Promise<number | null>;
  /** Kills it as it stands, and gives the processes that it had started by then. */
  kill(): Promise<number[]>;
  /** The last that it wrote to standard error. */
  said(): string;
}

/** The processes that a process has started, as Linux tells. */
function childrenOf(pid: number): number[] {
  try {
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim();
    return children === '' ? [] : children.split(' ').map(Number);
  } catch {
    return [];
  }
}
