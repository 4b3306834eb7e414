import { fileURLToPath } from 'node:url';
import { Piscina } from 'piscina';
import type { Log } from '../tasks/log.ts';
import type { Run, RunHooks, Runner } from '../tasks/runner.ts';
import type { Call, Lane } from '../tasks/task.ts';
import { Thread } from './thread.ts';

/** Shared threads that wait for their last obedient tasks, beyond which the oldest is ended. */
const MOST_RETIRING = 4;
const FIRST_RESTART_MS = 100;
const LONGEST_RESTART_MS = 10_000;

export interface PoolOptions {
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
 * Runs calls on Piscina's threads. Each thread is leased for as long as it lives, and tasks reach it
 * over a port of its own: Piscina starts, ends and replaces threads, and has no queue to manage.
 */
export class ThreadPool implements Runner {
  onRoom: (lane: Lane) => void = () => {};
  readonly #options: PoolOptions;
  readonly #piscinas: Record<Lane, Piscina>;
  readonly #threads: Record<Lane, Set<Thread>> = { cpu: new Set(), io: new Set() };
  /** Those that would start a call at once; the last one that became free is the first to be used. */
  readonly #free: Record<Lane, Thread[]> = { cpu: [], io: [] };
  readonly #retiring = new Set<Thread>();
  readonly #restarts = new Set<NodeJS.Timeout>();
  /** Threads that ended before they had started, in a row. */
  #stillborn = 0;
  #closed = false;

  constructor(options: PoolOptions) {
    this.#options = options;
    this.#piscinas = {
      cpu: this.#piscina(options.threads, options.threads),
      io: this.#piscina(1, 1 + MOST_RETIRING + 1),
    };
    for (let thread = 0; thread < options.threads; thread++) this.#add('cpu');
    this.#add('io');
  }

  hasRoom(lane: Lane): boolean {
    return this.#free[lane].length > 0;
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
    await Promise.all([this.#piscinas.cpu.destroy(), this.#piscinas.io.destroy()]);
  }

  #piscina(minThreads: number, maxThreads: number): Piscina {
    const piscina = new Piscina({
      filename: fileURLToPath(new URL('./worker.js', import.meta.url)),
      minThreads,
      maxThreads,
      // With atomics a thread sleeps between Piscina's messages, and would not hear its own port.
      atomics: 'disabled',
      recordTiming: false,
    });
    piscina.on('error', (error: unknown) => this.#options.log.error({ err: error }, 'a thread failed'));
    return piscina;
  }

  #add(lane: Lane): void {
    const places = lane === 'cpu' ? 1 : this.#options.ioConcurrency;
    const thread = new Thread(this.#piscinas[lane], places, this.#options.graceMs, {
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
      gone: (reason, fault) => {
        if (this.#closed) return;
        this.#options.log[fault ? 'warn' : 'info']({ thread: thread.id, lane, reason }, 'a thread ended');
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
