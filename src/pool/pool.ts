import type { Log } from '../tasks/log.ts';
import type { Run, RunHooks, Runner } from '../tasks/runner.ts';
import type { Call, Lane } from '../tasks/task.ts';
import { CrashRecord } from './crash-record.ts';
import type { ThreadHost } from './host.ts';
import { PiscinaHost } from './piscina-host.ts';
import { ProcessHost } from './process-host.ts';
import { Thread } from './thread.ts';

/** Shared threads that wait for their last obedient tasks, beyond which the oldest is ended. */
const MOST_RETIRING = 4;
const DEFAULT_MEMORY_MB = 512;
const FIRST_RESTART_MS = 100;
const LONGEST_RESTART_MS = 10_000;

/** Where tools run: in threads of a child process, or of this one. */
export type Isolation = 'process' | 'thread';

export interface PoolOptions {
  readonly isolation: Isolation;
  /** Threads for `cpu` tasks, which run one to a thread. One more serves `io` tasks. */
  readonly threads: number;
  /** How many `io` tasks run at once. */
  readonly ioConcurrency: number;
  /** How long a task that is asked to stop may take before its thread is ended. */
  readonly graceMs: number;
  /** The URL of a tool's module. */
  readonly moduleOf: (tool: string) => string;
  readonly log: Log;
}

/**
 * Runs calls on Piscina's threads, here or in a child process. Each thread is leased for as long as it
 * lives, and tasks reach it over a port of its own: Piscina starts and ends threads, and has no queue to
 * manage.
 */
export class ThreadPool implements Runner {
  onRoom: (lane: Lane) => void = () => {};
  readonly #options: PoolOptions;
  readonly #host: ThreadHost;
  readonly #threads: Record<Lane, Set<Thread>> = { cpu: new Set(), io: new Set() };
  /** Those that would start a call at once; the last one that became free is the first to be used. */
  readonly #free: Record<Lane, Thread[]> = { cpu: [], io: [] };
  readonly #retiring = new Set<Thread>();
  readonly #restarts = new Set<NodeJS.Timeout>();
  readonly #crashes = new CrashRecord();
  #lastThread = 0;
  /** Threads that ended before they had started, in a row. */
  #stillborn = 0;
  #closed = false;

  constructor(options: PoolOptions) {
    this.#options = options;
    this.#host = options.isolation === 'process' ? new ProcessHost(options.log) : new PiscinaHost();
    for (let thread = 0; thread < options.threads; thread++) this.#add('cpu');
    this.#add('io');
  }

  hasRoom(lane: Lane): boolean {
    return this.#free[lane].length > 0;
  }

  refusal({ tool }: Call): string | undefined {
    return this.#crashes.refusal(tool);
  }

  start(taskId: string, { tool, args, lane, timeoutMs }: Call, hooks: RunHooks): Run {
    const free = this.#free[lane];
    const thread = free.at(-1)!;
    thread.run({ taskId, tool, module: this.#options.moduleOf(tool), args }, timeoutMs, hooks);
    if (!thread.hasRoom) free.pop();
    return { thread: thread.id, stop: () => thread.stop(taskId) };
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const restart of this.#restarts) clearTimeout(restart);
    for (const thread of [...this.#threads.cpu, ...this.#threads.io]) thread.end('the server is closing');
    await this.#host.close();
  }

  #add(lane: Lane): void {
    const places = lane === 'cpu' ? 1 : this.#options.ioConcurrency;
    const spec = { places, maxMemoryMb: DEFAULT_MEMORY_MB };
    const thread = new Thread(++this.#lastThread, this.#host, spec, this.#options.graceMs, {
      room: () => {
        this.#stillborn = 0;
        if (!this.#free[lane].includes(thread)) this.#free[lane].push(thread);
        this.onRoom(lane);
      },
      retired: () => {
        this.#dismiss(lane, thread);
        this.#retiring.add(thread);
        const [oldest] = this.#retiring;
        if (this.#retiring.size > MOST_RETIRING) oldest!.end('too many threads had retired');
        this.#add(lane);
      },
      lost: () => this.#dismiss(lane, thread),
      gone: (reason, kind, tools) => {
        if (this.#closed) return;
        if (kind === 'crash') for (const tool of tools) this.#crashes.add(tool);
        this.#options.log[kind === 'asked' ? 'info' : 'warn'](
          { thread: thread.id, lane, reason },
          'a thread ended',
        );
        this.#dismiss(lane, thread);
        if (this.#retiring.delete(thread)) return;
        if (thread.started) this.#add(lane);
        else this.#addLater(lane);
      },
    });
    this.#threads[lane].add(thread);
  }

  /** After a thread that ended before it had started: the next one might as well, so wait, longer each time. */
  #addLater(lane: Lane): void {
    const pause = Math.min(FIRST_RESTART_MS * 2 ** this.#stillborn++, LONGEST_RESTART_MS);
    const restart = setTimeout(() => {
      this.#restarts.delete(restart);
      this.#add(lane);
    }, pause);
    this.#restarts.add(restart);
  }

  #dismiss(lane: Lane, thread: Thread): void {
    this.#threads[lane].delete(thread);
    this.#free[lane] = this.#free[lane].filter((free) => free !== thread);
  }
}
