import { setImmediate, setTimeout } from 'node:timers/promises';
import { loadDriver } from '../src/stores/sqlite-driver.ts';
import { SqliteStore } from '../src/stores/sqlite.ts';
import type { Call, Outcome } from '../src/tasks/task.ts';
import { engineWith } from './engine.ts';
import { InstantRunner } from './instant-runner.ts';
import { LoopWatch, type Turn } from './loop-watch.ts';
import { RESULT, TOOL } from './store-file.ts';

/*
 * A process whose store has much to do, and how long its event loop is held meanwhile: `node store-load.js FILE MS`,
 * each kind of load for that long.
 */

/** A kind of load. */
export interface Phase {
  readonly what: string;
  readonly turns: readonly Turn[];
  /** How many tasks were created, listed, removed, read: what there is to be done. */
  readonly tasks: number;
}

const MANY = 64;
const SOME = 4;
const LARGE_BYTES = 10 * 2 ** 20;
const LONG = { content: [{ type: 'text', text: 'x'.repeat(LARGE_BYTES) }] };
const VALUE = { number: 104_729, factors: [1, 104_729], isPrime: true };
const MANY_VALUES = {
  content: [],
  structuredContent: {
    numbers: Array.from({ length: LARGE_BYTES / JSON.stringify(VALUE).length }, () => VALUE),
  },
};
/** Of what is in the file, how much is removed for want of room. */
const EVICTED = 0.02;

const [path, ms] = process.argv.slice(2) as [string, string];
const phases: Phase[] = [];
await load(Number(ms));

async function load(lasting: number): Promise<void> {
  const { store, engine } = await open();
  const run = () => engine.run(TOOL);
  const phase = (what: string, work: Work) => watch(what, lasting, work);
  await phase('nothing', (isOver) => repeat(1, isOver, () => setTimeout(10)));
  await phase(`create and finish, ${MANY} at a time`, (isOver) => repeat(MANY, isOver, run));
  await phase(`list, and create and finish, ${SOME} at a time`, async (isOver) => {
    const done = repeat(SOME, isOver, run);
    let cursor: string | undefined;
    const listed = repeat(1, isOver, async () => ({ nextCursor: cursor } = await engine.list(cursor)));
    return (await done) + (await listed);
  });
  await phase('a long read elsewhere, and the checkpoint after it', async (isOver) => {
    const reader = new (await loadDriver()).DatabaseSync(path);
    reader.exec('BEGIN');
    reader.prepare('SELECT count(*) FROM instances').get();
    const done = await repeat(MANY, isOver, run);
    reader.exec('COMMIT');
    reader.close();
    for (let n = 0; n < MANY; n++) await run();
    return done;
  });
  await phase('a result of 10 MB written and read', async (isOver) => {
    let tool = 'long';
    return repeat(1, isOver, async () => {
      tool = tool === 'long' ? 'many' : 'long';
      const { taskId } = await engine.run(tool);
      await engine.get(taskId);
    });
  });
  await phase('expired tasks removed', async () => {
    let isGone = false;
    const before = await store.size();
    await engine.recover();
    const done = repeat(SOME, () => isGone, run);
    while (((await store.nextExpiry()) ?? Infinity) <= store.clock.now()) await setTimeout(20);
    isGone = true;
    return (await done) + before - (await store.size());
  });
  await engine.close();
  await evict(phase);
  process.send!(phases, () => process.disconnect());
}

/** The file is larger than it may be. */
async function evict(phase: (what: string, work: Work) => Promise<void>): Promise<void> {
  const database = new (await loadDriver()).DatabaseSync(path);
  const used = database
    .prepare(
      'SELECT (page_count - freelist_count) * page_size AS bytes FROM pragma_page_count, pragma_freelist_count, pragma_page_size',
    )
    .get()!;
  database.close();
  const { store, engine } = await open((Number(used['bytes']) / 2 ** 20) * 0.999);
  const before = await store.size();
  await phase('tasks removed for want of room', async (isOver) => {
    const isEnough = async () => isOver() || before - (await store.size()) > before * EVICTED;
    let isDone = false;
    const done = repeat(
      SOME,
      () => isDone,
      () => engine.run(TOOL),
    );
    while (!(await isEnough())) await setTimeout(20);
    isDone = true;
    const evicted = before + (await done) - (await store.size());
    if (evicted <= 0) throw new Error('nothing was removed, though the file is larger than it may be');
    return evicted;
  });
  await engine.close();
}

/** @returns how many tasks it was about */
type Work = (isOver: () => boolean) => Promise<number>;

async function watch(what: string, lasting: number, work: Work): Promise<void> {
  const until = performance.now() + lasting;
  const loop = new LoopWatch();
  const tasks = await work(() => performance.now() >= until);
  phases.push({ what, turns: loop.end(), tasks });
}

async function repeat(callers: number, isOver: () => boolean, call: () => Promise<unknown>): Promise<number> {
  let done = 0;
  const caller = async () => {
    while (!isOver()) {
      await call();
      done++;
      // Callers are requests: each comes from outside the loop.
      await setImmediate();
    }
  };
  await Promise.all(Array.from({ length: callers }, caller));
  return done;
}

async function open(maxStoreMb = 2048) {
  const runner = new InstantRunner(MANY, outcomeOf);
  runner.open();
  const store = await SqliteStore.open({ path, maxStoreMb });
  return { store, engine: engineWith(runner, store) };
}

/** A result of 10 MB is one text, or many values. */
function outcomeOf({ tool }: Call): Outcome {
  if (tool === TOOL) return RESULT;
  const result = tool === 'long' ? LONG : MANY_VALUES;
  return { type: 'result', result, isError: false };
}
