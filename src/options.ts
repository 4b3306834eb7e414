import { OptionError } from './errors.ts';
import type { Isolation } from './pool/place.ts';
import type { Log } from './tasks/log.ts';
import type { TaskStore } from './tasks/store.ts';
import type { Caller } from './wire/owner.ts';

export interface ServerOptions {
  /** The folder of tool modules. */
  tools: string | URL;
  /** Leaves a module that is at fault out, with a warning in `log`, instead of throwing. Default false. */
  lenient?: boolean;
  /** How long one tool module may take to load. Default 10,000. */
  loadTimeoutMs?: number;
  /**
   * Where tools run: in threads of a child process, so that one that exhausts the memory or crashes natively
   * takes no more than that along, or in threads of this process. Default `thread`.
   */
  isolation?: Isolation;
  /** Names of variables of the environment that tools see, beside PATH, HOME, LANG, TZ, NODE_ENV and what each tool names. */
  env?: readonly string[];
  /**
   * Runs tools under Node's permission model: they read the tools folder, the packages it can import and these
   * files and folders, and may not write, start processes or load native add-ons. Needs `isolation: 'process'`.
   * Default: no such limit.
   */
  lockdown?: { read: readonly string[] };
  /** Threads for CPU-bound tools; one more serves `io` tools. Default: the machine's available parallelism. */
  threads?: number;
  /**
   * What the process in which the tools run may hold, in megabytes of resident size; over it, the task that
   * holds the most fails. Default: with `isolation: 'process'` 1,536, or half of the machine's memory where that
   * is less; otherwise, as that process holds all else too, no limit.
   */
  maxMemoryMb?: number;
  /** How large a result may be, as JSON, in megabytes, where its tool says nothing else. Default 10. */
  maxResultMb?: number;
  /** Tasks after which a thread is replaced, for tools that leak. Default: never. */
  recycleAfter?: number;
  /** How many `io` tasks run at once. Default 1,000. */
  ioConcurrency?: number;
  /** How long a task that is cancelled or has timed out may take to stop before its thread is ended. Default 250. */
  graceMs?: number;
  /** How long a task is kept from its creation, where neither the caller nor the tool says. Default one hour. */
  defaultTtlMs?: number;
  /** What longer wishes are cut to. Default 24 hours. */
  maxTtlMs?: number;
  /** The pause between polls that is suggested to clients, where the tool says nothing else. Default 1,000. */
  pollIntervalMs?: number;
  /** Tasks in one page of `tasks/list`. Default 50. */
  pageSize?: number;
  /**
   * Tasks and calls that may wait for a thread. More are refused, with an error that says how many are ahead and
   * when to try again. Default 200,000.
   */
  maxQueued?: number;
  /** The same, of one owner. Default 100,000. */
  maxQueuedPerOwner?: number;
  /** Tasks and calls of one owner that run at once; the others wait, though there be room. Default: no limit. */
  maxRunningPerOwner?: number;
  /** Requests for unknown tasks that an owner may make in a minute. Default 100. */
  maxLookUpMisses?: number;
  /**
   * Adds the tools `start_task`, `check_task`, `cancel_task` and `list_tasks`, for clients that know no tasks and
   * give up on calls that take long. No tool of the folder may have one of these names. Default false.
   */
  taskTools?: boolean;
  /**
   * Where tasks are kept; or what opens that, called once the tools have been read, so that it does not delay the
   * first answers: where it rejects, so does `ready`. Closed with the server. Default: in memory.
   */
  store?: TaskStore | (() => Promise<TaskStore>);
  /**
   * Who makes a request, and so whose tasks it may see. Default: the issuer, subject (`extra.iss`,
   * `extra.sub`) and client of its access token, else its HTTP session, else (stdio, in memory) `local`.
   */
  owner?: (caller: Caller) => string;
  /** Where creation, end and retrieval of tasks, and faults, are logged; a pino logger fits. Default: nowhere. */
  log?: Log;
  /** What clients are told this server is. Default: this package's name and version. */
  name?: string;
  version?: string;
  instructions?: string;
}

type Numbers = { [K in keyof ServerOptions]-?: NonNullable<ServerOptions[K]> extends number ? K : never };

const COUNTS = [
  'threads',
  'ioConcurrency',
  'recycleAfter',
  'pageSize',
  'maxQueued',
  'maxQueuedPerOwner',
  'maxRunningPerOwner',
  'maxLookUpMisses',
] as const satisfies readonly Numbers[keyof Numbers][];

const DURATIONS = [
  'loadTimeoutMs',
  'defaultTtlMs',
  'maxTtlMs',
  'pollIntervalMs',
  'graceMs',
] as const satisfies readonly Numbers[keyof Numbers][];

const SIZES = ['maxMemoryMb', 'maxResultMb'] as const satisfies readonly Numbers[keyof Numbers][];

/** @throws {OptionError} when an option has a value it cannot have */
export function checkOptions(options: ServerOptions): void {
  const check = (
    keys: readonly Numbers[keyof Numbers][],
    isFine: (value: number) => boolean,
    wanted: string,
  ) => {
    for (const key of keys) {
      const value = options[key];
      if (value !== undefined && !isFine(value))
        throw new OptionError(`${key}: expected ${wanted}, got ${value}`);
    }
  };
  const isPositive = (value: number) => Number.isFinite(value) && value > 0;
  check(COUNTS, (value) => Number.isInteger(value) && value >= 1, 'a whole number of at least 1');
  check(DURATIONS, isPositive, 'a positive number of milliseconds');
  check(SIZES, isPositive, 'a positive number of megabytes');
  if (options.lockdown !== undefined && options.isolation !== 'process') {
    throw new OptionError("lockdown: needs isolation: 'process'");
  }
  if (options.isolation !== undefined && !['process', 'thread'].includes(options.isolation)) {
    throw new OptionError(
      `isolation: expected 'process' or 'thread', got ${JSON.stringify(options.isolation)}`,
    );
  }
}
