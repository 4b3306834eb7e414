import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Benchmark, Report, Row } from './benchmark.ts';
import { median, rounded } from './statistics.ts';
import { measureCosts, ratio } from './store-cost.ts';
import { expire, makeFile, taskId } from './store-file.ts';
import { STALL_MS, measureHeld } from './store-held.ts';
import { readByClient, readByEngine, type Reads } from './store-reads.ts';
import { timeOpening, timeServing } from './store-start.ts';

const SMALL = 1000;
/** Of the tasks in the large file, how many expire at once. */
const EXPIRING = 0.1;

/** What it costs to keep tasks in a file. */
export const store = {
  name: 'store',
  title: 'The SQLite store, what is acknowledged being on the disk',
  async run(short): Promise<Report> {
    const folder = await mkdtemp(join(tmpdir(), 'mcp-taskpool-bench-'));
    try {
      return await measure(folder, short);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  },
} satisfies Benchmark;

async function measure(folder: string, short: boolean): Promise<Report> {
  const many = short ? 20_000 : 1_000_000;
  const rounds = short ? 1 : 15;
  const costs = await measureCosts(folder, short ? 1 : 20, short ? 20 : 100);

  const small = { path: join(folder, 'small.db'), rows: SMALL };
  const large = { path: join(folder, 'large.db'), rows: many };
  await makeFile(small.path, SMALL);
  const megabytes = await makeFile(large.path, many);
  const starts = {
    small: [] as number[],
    large: [] as number[],
    serveSmall: [] as number[],
    serveLarge: [] as number[],
  };
  for (let round = 0; round < (short ? 1 : 7); round++) {
    starts.small.push(await timeOpening(small.path));
    starts.large.push(await timeOpening(large.path));
    starts.serveSmall.push(await timeServing(small.path, taskId(1)));
    starts.serveLarge.push(await timeServing(large.path, taskId(many)));
  }
  const files = [small, large];
  const byEngine = await readByEngine(files, rounds, short ? 500 : 4000);
  const byClient = await readByClient(files, rounds, short ? 250 : 1000);

  await expire(large.path, 1, many * EXPIRING);
  const { bare, held } = await measureHeld(large.path, short ? 300 : 5000);
  const longest = Math.max(...held.map(({ byStore }) => byStore));
  const atWork = Math.max(...held.map(({ ran }) => ran));

  const rows = many.toLocaleString('en');
  const row = (
    what: string,
    unit: string,
    measured: readonly number[],
    beside: string,
    base: readonly number[],
  ) =>
    ({
      what,
      measured: `${rounded(median(measured))} ${unit}`,
      beside: `${beside} ${rounded(median(base))} ${unit}`,
      ratio: rounded(ratio(measured, base)),
    }) satisfies Row;
  return {
    rows: [
      row('create and finish a task, one after another', 'µs', costs.engine, 'two bare writes', costs.bare),
      row('the same, 64 at a time', 'µs', costs.engineTogether, 'one after another', costs.engine),
      row('create, 64 at a time', 'µs', costs.createTogether, 'one after another', costs.create),
      row(
        'create, run in the pool in a process, and finish',
        'µs',
        costs.pool,
        'two bare writes',
        costs.bare,
      ),
      row('the same, 64 at a time', 'µs', costs.poolTogether, 'one after another', costs.pool),
      ...readRows('engine.get', byEngine),
      ...readRows('tasks/get in memory', byClient),
      row(`open and claim, ${rows} tasks in the file`, 'ms', starts.large, '1,000 tasks', starts.small),
      row(
        'start of the process to an answer of tasks/get',
        'ms',
        starts.serveLarge,
        '1,000 tasks',
        starts.serveSmall,
      ),
      ...held.map(({ what, tasks, p99, longest: most, byStore, withWaiting, ran, control }) => ({
        what: `event loop held: ${what} (${tasks.toLocaleString('en')})`,
        measured: `p99 ${rounded(p99)} ms, longest ${rounded(most)} ms (by the store ${rounded(byStore)} ms; at work ${rounded(ran)} ms; with the wait for a core ${rounded(withWaiting)} ms)`,
        beside: `without a store p99 ${rounded(control.p99)} ms, longest ${rounded(control.longest)} ms`,
        ratio: rounded(most / control.longest),
      })),
    ],
    notes: [
      `Medians of rounds in which what is compared takes turns; ratios are those of the rounds. ${rows} tasks are ${Math.round(megabytes)} MB.`,
      'The event loop: how long it took to come round at most, less the time that the thread waited for a core. At work: without',
      'the waits for the disk, too. By the store: but for the times at which a process without a store was held, too, for more than',
      `${STALL_MS} ms, which beside it writes a page to the disk every 5 ms. A process alone that asks the same of the disk by bare writes`,
      `(100 kB after a log, and 100 pages here and there in a file, synchronised) was held for ${rounded(bare.p99)} ms at p99, and`,
      `${rounded(bare.longest)} ms at most: with \`synchronous\` full, nothing is acknowledged before the disk has it.`,
    ],
    targets: [
      {
        target: 'create and finish a task, as a multiple of two bare writes',
        measured: rounded(ratio(costs.engine, costs.bare)),
        atMost: 3,
      },
      {
        target: 'tasks created and finished a second, 64 at a time, as a multiple of one after another',
        measured: rounded(ratio(costs.engine, costs.engineTogether)),
        atLeast: 2,
      },
      {
        target: 'tasks created a second, the same',
        measured: rounded(ratio(costs.create, costs.createTogether)),
        atLeast: 2,
      },
      {
        target: `engine.get p99 with ${rows} tasks, as a multiple of that with 1,000`,
        measured: rounded(ratio(byEngine[1]!.p99, byEngine[0]!.p99)),
        atMost: 1.5,
      },
      {
        target: 'tasks/get p99, the same',
        measured: rounded(ratio(byClient[1]!.p99, byClient[0]!.p99)),
        atMost: 1.5,
      },
      {
        target: `event loop held by the store's work, longest, with ${rows} tasks`,
        measured: rounded(atWork),
        atMost: 20,
        unit: 'ms',
      },
      {
        target: `the same with its waits for the disk (bare writes alone: ${rounded(bare.longest)} ms)`,
        measured: rounded(longest),
        atMost: 20,
        unit: 'ms',
      },
      {
        target: `open and claim with ${rows} tasks`,
        measured: rounded(median(starts.large)),
        atMost: 1000,
        unit: 'ms',
      },
      {
        target: `start of the process to an answer with ${rows} tasks`,
        measured: rounded(median(starts.serveLarge)),
        atMost: 1000,
        unit: 'ms',
      },
    ],
  };

  function readRows(what: string, reads: Reads): Row[] {
    return (['p50', 'p99'] as const).map((q) =>
      row(`${what}, ${q}, ${rows} tasks`, 'µs', reads[1]![q], '1,000 tasks', reads[0]![q]),
    );
  }
}
