import type { Runner } from '../src/tasks/runner.ts';
import type { ThreadPool } from '../src/pool/pool.ts';
import type { Benchmark, Report } from './benchmark.ts';
import { engineWith } from './engine.ts';
import { InstantRunner, type OpenRunner } from './instant-runner.ts';
import { noopPool } from './noop-pool.ts';
import { median, rounded } from './statistics.ts';

const SIZES = [100, 1000, 10_000, 100_000];

/** What a long queue costs. */
export const queue = {
  name: 'queue',
  title: 'Cost of a task by how many are queued',
  async run(short): Promise<Report> {
    const sizes = short ? SIZES.slice(0, 2) : SIZES;
    const most = sizes.at(-1)!;
    const times = sizes.map((): { engine: number; whole: number }[] => []);
    const heaps = sizes.map((): number[] => []);
    const pool = noopPool('thread');
    await timeFillAndDrain(() => lasting(pool), 1000, 1);
    for (let round = 0; round < (short ? 1 : 3); round++) {
      for (const [n, size] of sizes.entries()) {
        // As many tasks for every size, so that each is measured for as long.
        const engine = await timeFillAndDrain(() => new InstantRunner(), size, most / size);
        const whole = await timeFillAndDrain(() => lasting(pool), size, most / size);
        times[n]!.push({ engine, whole });
        heaps[n]!.push(await heapPerTask(size));
      }
    }
    await pool.close();
    const micros = (part: 'engine' | 'whole') =>
      times.map((values) => rounded(median(values.map((value) => value[part])) * 1000));
    const [engine, whole] = [micros('engine'), micros('whole')];
    const bytes = heaps.map((values) => Math.round(median(values)));
    const base = sizes.indexOf(1000);
    // Round by round, so that what slows the machine down for a while slows both.
    const growth = median(times.at(-1)!.map((value, round) => value.whole / times[base]![round]!.whole));
    return {
      rows: sizes.map((size, n) => ({
        queued: size,
        'µs a task': whole[n]!,
        'of that at 1,000': rounded(whole[n]! / whole[base]!, 2),
        'µs in the engine': engine[n]!,
        'of that at 1,000 ': rounded(engine[n]! / engine[base]!, 2),
        'heap bytes a task': bytes[n]!,
      })),
      notes: [
        'To create, queue, run and finish a task that does nothing, through engine and pool, the store in memory;',
        'and in the engine alone, with a runner that finishes at once. Medians of rounds in which the sizes take turns.',
      ],
      targets: [
        {
          target: `cost of a task at ${most.toLocaleString('en')} queued, as a multiple of that at 1,000`,
          measured: rounded(growth),
          atMost: 1.5,
        },
        {
          target: `heap of a queued task (of ${most.toLocaleString('en')})`,
          measured: bytes.at(-1)!,
          atMost: 2048,
          unit: 'bytes',
        },
      ],
    };
  },
} satisfies Benchmark;

/** Milliseconds a task, for queues that are filled and drained one after the other. */
async function timeFillAndDrain(runnerFor: () => OpenRunner, size: number, times: number): Promise<number> {
  collect();
  const started = performance.now();
  for (let n = 0; n < times; n++) {
    const { drain } = await fill(runnerFor(), size);
    await drain();
  }
  return (performance.now() - started) / (size * times);
}

async function heapPerTask(size: number): Promise<number> {
  // Short queues are too small to be seen one by one.
  const queues = Math.ceil(10_000 / size);
  collect();
  const before = process.memoryUsage().heapUsed;
  const filled: Awaited<ReturnType<typeof fill>>[] = [];
  for (let n = 0; n < queues; n++) filled.push(await fill(new InstantRunner(), size));
  collect();
  const after = process.memoryUsage().heapUsed;
  for (const { drain } of filled) await drain();
  return (after - before) / (size * queues);
}

async function fill(runner: OpenRunner, size: number): Promise<{ drain: () => Promise<void> }> {
  const engine = engineWith(runner);
  let left = size;
  let drained: () => void;
  const empty = new Promise<void>((resolve) => (drained = resolve));
  const ended = () => {
    if (--left === 0) drained();
  };
  for (let n = 0; n < size; n++) await engine.create('noop', ended);
  return {
    async drain() {
      runner.open();
      await empty;
      await engine.close();
    },
  };
}

/** The pool for one engine after another. */
function lasting(pool: ThreadPool): OpenRunner {
  let isOpen = false;
  return {
    set onRoom(onRoom: Runner['onRoom']) {
      pool.onRoom = onRoom;
    },
    refusal: (call) => pool.refusal(call),
    room: (lane) => (isOpen ? pool.room(lane) : 0),
    start: (taskId, call, attempt, hooks) => pool.start(taskId, call, attempt, hooks),
    open() {
      isOpen = true;
      pool.onRoom('cpu');
    },
    close: () => Promise.resolve(),
  };
}

function collect(): void {
  if (globalThis.gc === undefined) throw new Error('the heap is measured: run node with --expose-gc');
  globalThis.gc();
}
