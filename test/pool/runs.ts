import { expect, onTestFinished } from 'vitest';
import type { Attempt, Repeatable, Run, RunHooks } from '../../src/tasks/runner.ts';
import type { Call, LogEntry, Outcome } from '../../src/tasks/task.ts';
import type { Isolation } from '../../src/pool/place.ts';
import type { PoolOptions } from '../../src/pool/pool.ts';
import { folderWith, toolSource } from '../folder.ts';

// From the build: threads and processes start from files beside these.
const built = (path: string) => import(new URL(`../../dist/src/${path}`, import.meta.url).href);
const { ThreadPool } = (await built('pool/pool.js')) as typeof import('../../src/pool/pool.ts');
const { readCatalog } = (await built('pool/catalog.js')) as typeof import('../../src/pool/catalog.ts');
const { Toolbox } = (await built('wire/tools.js')) as typeof import('../../src/wire/tools.ts');

interface End {
  readonly outcome: Outcome;
  readonly repeatable: Repeatable | undefined;
}

/** What a run tells, in order. */
class Told implements RunHooks {
  readonly events: string[] = [];
  readonly checkpoints: unknown[] = [];
  readonly lines: string[] = [];
  run!: Run;
  end!: (end: End) => void;
  leave!: () => void;
  report!: () => void;
  readonly ended = new Promise<End>((resolve) => (this.end = resolve));
  readonly hasLeft = new Promise<void>((resolve) => (this.leave = resolve));
  /** Resolves with its first progress: it is running. */
  readonly running = new Promise<void>((resolve) => (this.report = resolve));

  progress(): void {
    this.events.push('progress');
    this.report();
  }

  log(entries: readonly LogEntry[]): void {
    this.events.push('log');
    this.lines.push(...entries.map(({ message }) => message));
  }

  ask(): void {
    this.events.push('ask');
  }

  checkpoint(value: unknown): void {
    this.events.push('checkpoint');
    this.checkpoints.push(value);
  }

  finished(outcome: Outcome, repeatable?: Repeatable): void {
    this.events.push('finished');
    this.end({ outcome, repeatable });
  }

  left(): void {
    this.events.push('left');
    this.leave();
  }
}

interface Started {
  readonly taskId?: string;
  readonly attempt?: Attempt;
  readonly timeoutMs?: number;
}

/**
 * A pool over tools of these options, with no engine on it. At the end of the test it is closed, and each of its runs
 * has finished once, and then left once, and told nothing in between or after that.
 */
export async function openPool(
  isolation: Isolation,
  tools: Readonly<Record<string, string>>,
  options: Partial<PoolOptions> = {},
) {
  const sources = Object.entries(tools).map(([name, source]) => [`${name}.js`, toolSource(source)]);
  const folder = await folderWith(Object.fromEntries(sources) as Record<string, string>);
  const place = { isolation, env: {}, lockdown: undefined };
  const catalog = await readCatalog(folder, { place, loadTimeoutMs: 10_000 });
  const toolbox = new Toolbox(catalog);
  const warnings: string[] = [];
  const pool = new ThreadPool({
    place,
    threads: 1,
    ioConcurrency: 10,
    graceMs: 100,
    maxMemoryMb: undefined,
    maxResultMb: 10,
    recycleAfter: undefined,
    tools: catalog,
    log: {
      info: () => {},
      warn: (fields, message) => void warnings.push(`${message} ${JSON.stringify(fields)}`),
      error: () => {},
    },
    ...options,
  });
  const all: Told[] = [];
  onTestFinished(async () => {
    await pool.close();
    for (const { events } of all) {
      expect(events.slice(-2)).toEqual(['finished', 'left']);
      expect(events.filter((event) => event === 'finished' || event === 'left')).toHaveLength(2);
    }
  });

  const room = async (lane: Call['lane']): Promise<void> => {
    while (pool.room(lane) === 0) await new Promise<void>((resolve) => (pool.onRoom = () => resolve()));
  };
  let lastTask = 0;
  const start = async (name: string, args: object = {}, started: Started = {}): Promise<Told> => {
    const { taskId = `task-${++lastTask}`, attempt = { number: 1 }, timeoutMs } = started;
    const call = toolbox.call(toolbox.get(name)!, args as Record<string, unknown>);
    await room(call.lane);
    const told = new Told();
    all.push(told);
    told.run = pool.start(taskId, { ...call, ...(timeoutMs !== undefined && { timeoutMs }) }, attempt, told);
    return told;
  };
  return { pool, folder, warnings, toolbox, start };
}

/** The text of a result. */
export function textOf({ outcome }: End): string {
  if (outcome.type !== 'result') return outcome.type === 'error' ? outcome.message : outcome.type;
  return (outcome.result['content'] as { text: string }[])[0]!.text;
}
