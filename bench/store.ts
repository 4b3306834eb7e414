import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import type { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { GetTaskResultSchema } from '@modelcontextprotocol/sdk/types.js';
import { SqliteStore } from 'mcp-taskpool';
import { Connection } from '../src/stores/sqlite-connection.ts';
import { loadDriver } from '../src/stores/sqlite-driver.ts';
import type { Benchmark, Report } from './benchmark.ts';
import { inMemoryWithSdkClient } from './pairs.ts';
import { BENCH_TOOLS } from './places.ts';
import { rate } from './rate.ts';
import { median, quantile, rounded } from './statistics.ts';
import { MAX_STORE_MB, RESULT, aTask, ended, fill, live, temporaryFolder } from './store-files.ts';

const FEW = 1000;
const CALLERS = 64;

/** What it costs that tasks survive. */
export const store = {
  name: 'store',
  title: 'Durable tasks: what they cost, and what many of them cost',
  async run(short): Promise<Report> {
    await using place = await temporaryFolder();
    const { folder } = place;
    const many = short ? 5000 : 1_000_000;
    const writes = await measureWrites(folder, short);
    const [few, full] = [join(folder, 'few.db'), join(folder, 'many.db')];
    const gets = short ? 100 : 15_000;
    const filled = { few: await fill(few, FEW, gets), many: await fill(full, many, gets) };
    const opens = await measureOpen(full, short ? 1 : 9);
    const get = await measureGets([
      { path: few, ids: filled.few.ids },
      { path: full, ids: filled.many.ids },
    ]);
    const held = await measureHolds(full, filled.many.firstExpiry, short);
    const rows = many.toLocaleString('en');
    const longest = Math.max(...held.filter(({ what }) => what !== 'nothing').map(({ ms }) => ms));
    return {
      rows: [
        { what: 'two bare writes, one after the other, µs', measured: rounded(writes.bare) },
        { what: 'create and finish, one after the other, µs', measured: rounded(writes.serial) },
        { what: `create and finish, ${CALLERS} callers, a second`, measured: rounded(writes.callersRate) },
        { what: 'create and finish, one caller, a second', measured: rounded(writes.callerRate) },
        { what: `tasks/get of ${FEW.toLocaleString('en')}, p50 µs`, measured: rounded(get[0]!.p50) },
        { what: `tasks/get of ${rows}, p50 µs`, measured: rounded(get[1]!.p50) },
        { what: `tasks/get of ${FEW.toLocaleString('en')}, p99 µs`, measured: rounded(get[0]!.p99) },
        { what: `tasks/get of ${rows}, p99 µs`, measured: rounded(get[1]!.p99) },
        ...held.map(({ what, ms }) => ({ what: `event loop held by ${what}, ms`, measured: rounded(ms) })),
        { what: `open with ${rows}, ms`, measured: rounded(opens) },
      ],
      notes: [
        'SQLite in WAL mode, every commit synchronised with the disk (synchronous = FULL). The bare writes are an INSERT and an',
        'UPDATE by the same driver on a file with the same settings; they and the store take turns. The two files of which',
        'tasks are got take turns too. Held: the longest pause of a round, the median of the rounds.',
      ],
      targets: [
        {
          target: 'create and finish a durable task, as a multiple of two bare writes',
          measured: rounded(writes.serial / writes.bare, 2),
          atMost: 3,
        },
        {
          target: `durable tasks a second of ${CALLERS} callers, as a multiple of one's`,
          measured: rounded(writes.callersRate / writes.callerRate, 2),
          atLeast: 2,
        },
        {
          target: `tasks/get p99 with ${rows} tasks, as a multiple of that with ${FEW.toLocaleString('en')}`,
          measured: rounded(get[1]!.p99 / get[0]!.p99, 2),
          atMost: 1.5,
        },
        {
          target: `longest hold of the event loop by the store, with ${rows} tasks`,
          measured: rounded(longest),
          atMost: 20,
          unit: 'ms',
        },
        { target: `open a store with ${rows} tasks`, measured: rounded(opens), atMost: 1000, unit: 'ms' },
      ],
    };
  },
} satisfies Benchmark;

async function measureWrites(folder: string, short: boolean) {
  const kept = await SqliteStore.open({ path: join(folder, 'writes.db') });
  const settings =
    'PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 100;' +
    'CREATE TABLE tasks (id TEXT PRIMARY KEY, body TEXT, result TEXT) STRICT';
  const bare = new Connection(await loadDriver(), join(folder, 'bare.db'), settings);
  const writeTwice = () => {
    const task = aTask(kept.clock.now());
    bare.run('INSERT INTO tasks (id, body) VALUES (?, ?)', task.taskId, JSON.stringify(task));
    const [body, result] = [ended({ ...task, outcome: undefined! }), RESULT].map((value) =>
      JSON.stringify(value),
    );
    bare.run('UPDATE tasks SET body = ?, result = ? WHERE id = ?', body!, result!, task.taskId);
  };
  const times = {
    bare: [] as number[],
    serial: [] as number[],
    caller: [] as number[],
    callers: [] as number[],
  };
  const [rounds, each, windowMs] = short ? [1, 20, 50] : [15, 200, 400];
  for (let round = 0; round < rounds; round++) {
    times.bare.push(await micros(each, writeTwice));
    times.serial.push(await micros(each, () => live(kept)));
    const options = { warmUpMs: windowMs / 4, windowMs };
    times.caller.push(await rate(() => live(kept), { inFlight: 1, ...options }));
    times.callers.push(await rate(() => live(kept), { inFlight: CALLERS, ...options }));
  }
  bare.close();
  await kept.close();
  return {
    bare: median(times.bare),
    serial: median(times.serial),
    callerRate: median(times.caller),
    callersRate: median(times.callers),
  };
}

async function micros(times: number, act: () => void | Promise<void>): Promise<number> {
  const started = performance.now();
  for (let n = 0; n < times; n++) await act();
  return ((performance.now() - started) / times) * 1000;
}

async function measureOpen(path: string, times: number): Promise<number> {
  const took: number[] = [];
  for (let n = 0; n < times; n++) {
    const started = performance.now();
    const opened = await SqliteStore.open({ path, maxStoreMb: MAX_STORE_MB });
    took.push(performance.now() - started);
    await opened.close();
  }
  return median(took);
}

/** Of each file, by requests of a client to a server of its own. */
async function measureGets(files: readonly { path: string; ids: readonly string[] }[]) {
  const served = [];
  for (const { path, ids } of files) {
    const opened = await SqliteStore.open({ path, maxStoreMb: MAX_STORE_MB });
    const pair = await inMemoryWithSdkClient({ tools: BENCH_TOOLS, threads: 1, store: opened });
    served.push({ pair, ids, times: [] as number[] });
  }
  const count = Math.min(...files.map(({ ids }) => ids.length));
  for (let n = 0; n < count; n++) {
    for (const { pair, ids, times } of served) {
      const started = performance.now();
      await getTask(pair.client, ids[n]!);
      times.push((performance.now() - started) * 1000);
    }
  }
  for (const { pair } of served) await pair[Symbol.asyncDispose]();
  // The first are slower, of both.
  return served.map(({ times }) => {
    const warm = times.slice(Math.floor(times.length / 5));
    return { p50: median(warm), p99: quantile(warm, 0.99) };
  });
}

async function getTask(client: Client, taskId: string): Promise<void> {
  const { status } = await client.request({ method: 'tasks/get', params: { taskId } }, GetTaskResultSchema);
  if (status !== 'completed') throw new Error(`${taskId} is ${status}`);
}

/** The longest time, in milliseconds, for which the event loop stood still meanwhile. */
async function measureHolds(path: string, firstExpiry: number, short: boolean) {
  const opened = await SqliteStore.open({ path, maxStoreMb: MAX_STORE_MB });
  opened.shared.watch({ changed: () => {}, gone: () => {}, lost: () => {} });
  const [rounds, lives, purged, listed] = short ? [1, 50, 100, 200] : [5, 200, 10_000, 20_000];
  const acts: Record<string, (round: number) => Promise<unknown>> = {
    nothing: () => new Promise((resolve) => setTimeout(resolve, short ? 20 : 500)),
    writing: () => inParallel(CALLERS, () => repeat(lives, () => live(opened))),
    purging: (round) => purgeUntil(opened, firstExpiry + (round + 1) * purged),
    listing: () => walk(opened, listed),
  };
  const held = [];
  for (const [what, act] of Object.entries(acts)) {
    const longest: number[] = [];
    for (let round = 0; round < rounds; round++) {
      const delay = monitorEventLoopDelay({ resolution: 1 });
      delay.enable();
      await act(round);
      // What it is told comes with the next turn.
      await new Promise((resolve) => setTimeout(resolve, 5));
      delay.disable();
      longest.push(delay.max / 1e6);
    }
    held.push({ what, ms: median(longest) });
  }
  await opened.close();
  return held;
}

async function repeat(times: number, act: () => Promise<unknown>): Promise<void> {
  for (let n = 0; n < times; n++) await act();
}

async function inParallel(count: number, act: () => Promise<void>): Promise<void> {
  await Promise.all(Array.from({ length: count }, act));
}

async function purgeUntil(opened: SqliteStore, now: number): Promise<void> {
  let count = 0;
  for (let some = await opened.purge(now); some.length > 0; some = await opened.purge(now))
    count += some.length;
  if (count === 0) throw new Error('nothing was purged');
}

async function walk(opened: SqliteStore, count: number): Promise<void> {
  let cursor: string | undefined;
  for (let seen = 0; seen < count;) {
    const page = await opened.list('local', cursor, 50);
    if (page.tasks.length === 0) throw new Error('there is nothing to list');
    seen += page.tasks.length;
    cursor = page.nextCursor;
    // As requests do, one comes after the other.
    await new Promise((resolve) => setImmediate(resolve));
  }
}
