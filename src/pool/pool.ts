import { totalmem } from 'node:os';
import type { Log } from '../tasks/log.ts';
import type { Attempt, Run, RunHooks, Runner } from '../tasks/runner.ts';
import type { Call, Lane } from '../tasks/task.ts';
import { CrashRecord } from './crash-record.ts';
import type { ThreadHost } from './host.ts';
import type { Place } from './place.ts';
import { PiscinaHost } from './piscina-host.ts';
import { ProcessHost } from './process-host.ts';
import { Thread, type ThreadEvents } from './thread.ts';
import { ThreadGroup } from './thread-group.ts';

/** Of a thread's heap, where the tool says nothing. */
const DEFAULT_MEMORY_MB = 512;

/** What the pool needs to know of a tool. */
interface PooledTool {
  /** The module's URL. */
  readonly module: string;
  readonly lane: Lane;
  readonly maxMemoryMb: number | undefined;
}

export interface PoolOptions {
  readonly place: Place;
  /** Threads for `cpu` tasks, which run one to a thread. One more serves `io` tasks. */
  readonly threads: number;
  /** How many `io` tasks run at once. */
  readonly ioConcurrency: number;
  /** How long a task that is asked to stop may take before its thread is ended. */
  readonly graceMs: number;
  /** What the process in which the tools run may hold: its resident size. Default: no limit, but in a child {@link defaultLimitMb}. */
  readonly maxMemoryMb: number | undefined;
  readonly maxResultMb: number;
  /** Tasks after which a thread is replaced; undefined: never. */
  readonly recycleAfter: number | undefined;
  readonly tools: ReadonlyMap<string, PooledTool>;
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
  readonly #groups: Record<Lane, ThreadGroup>;
  readonly #crashes = new CrashRecord();
  #lastThread = 0;

  constructor(options: PoolOptions) {
    const { place, maxMemoryMb, maxResultMb, threads, ioConcurrency, tools, log } = options;
    this.#options = options;
    this.#host =
      place.isolation === 'process'
        ? new ProcessHost({ place, maxMemoryMb: maxMemoryMb ?? defaultLimitMb(), maxResultMb }, log)
        : new PiscinaHost({ place, maxMemoryMb, maxResultMb });
    const limits = [...tools.values()]
      .filter(({ lane }) => lane === 'io')
      .map((tool) => tool.maxMemoryMb ?? DEFAULT_MEMORY_MB);
    this.#groups = {
      cpu: this.#group('cpu', threads, 1, DEFAULT_MEMORY_MB),
      // They share a thread, and so its limit.
      io: this.#group('io', 1, ioConcurrency, limits.length === 0 ? DEFAULT_MEMORY_MB : Math.max(...limits)),
    };
  }

  room(lane: Lane): number {
    return this.#groups[lane].room;
  }

  refusal({ tool }: Call): string | undefined {
    return this.#crashes.refusal(tool);
  }

  start(taskId: string, call: Call, attempt: Attempt, hooks: RunHooks): Run {
    const { tool, args, lane, timeoutMs, prepare, prepared } = call;
    const group = this.#groups[lane];
    const { module, maxMemoryMb = DEFAULT_MEMORY_MB } = this.#options.tools.get(tool)!;
    const thread = group.take(lane === 'cpu' ? maxMemoryMb : undefined);
    const message = {
      taskId,
      tool,
      module,
      args,
      attempt: attempt.number,
      // As it came from a thread.
      ...(attempt.checkpointed !== undefined && { checkpoint: attempt.checkpointed.value as string }),
      ...(prepare !== undefined && { prepare }),
      ...(prepared !== undefined && { prepared }),
    };
    const stop = thread.run(message, timeoutMs, hooks);
    group.taken(thread);
    return { thread: thread.id, stop };
  }

  async close(): Promise<void> {
    for (const group of Object.values(this.#groups)) group.close('the server is closing');
    await this.#host.close();
  }

  #group(lane: Lane, size: number, places: number, maxMemoryMb: number): ThreadGroup {
    const { graceMs, recycleAfter, log } = this.#options;
    const open = (limitMb: number, events: ThreadEvents) =>
      new Thread(
        ++this.#lastThread,
        this.#host,
        { places, maxMemoryMb: limitMb },
        { graceMs, recycleAfter },
        log,
        events,
      );
    return new ThreadGroup(
      { size, shared: places > 1, maxMemoryMb, open },
      {
        room: () => this.onRoom(lane),
        gone: (thread, reason, kind, tools) => {
          if (kind === 'crash') for (const tool of tools) this.#crashes.add(tool);
          log[kind === 'asked' ? 'info' : 'warn']({ thread: thread.id, lane, reason }, 'a thread ended');
        },
      },
    );
  }
}

/** Of the tools' process: 1,536 MB, or half of the machine's memory where that is less. */
function defaultLimitMb(): number {
  return Math.min(1536, Math.floor(totalmem() / 2 / 2 ** 20));
}
