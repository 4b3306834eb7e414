import type { RunHooks, Runner } from '../src/tasks/runner.ts';
import type { Call, Lane } from '../src/tasks/task.ts';
import type { Benchmark, Report } from './benchmark.ts';
import { engineWith } from './engine.ts';
import { median, rounded } from './statistics.ts';

const SIZES = [100, 1000, 10_000, 100_000];

/** What a long queue costs the engine. */
export const queue = {
  name: 'queue',
  title: 'Cost of a task by how many are queued',
  async run(short): Promise<Report> {
    const sizes = short ? SIZES.slice(0, 2) : SIZES;
    const most = sizes.at(-1)!;
    const times = sizes.map((): number[] => []);
    const heaps = sizes.map((): number[] => []);
    for (let round = 0; round < (short ? 1 : 5); round++) {
      for (const [n, size] of sizes.entries()) {
        // As many tasks for every size, so that each is measured for as long.
        times[n]!.push(await timeFillAndDrain(size, most / size));
        heaps[n]!.push(await heapPerTask(size));
      }
    }
    const micros = times.map((values) => rounded(median(values) * 1000));
    const bytes = heaps.map((values) => Math.round(median(values)));
    const base = micros[sizes.indexOf(1000)]!;
    return {
      rows: sizes.map((size, n) => ({
        queued: size,
        'µs a task': micros[n]!,
        'of that at 1,000': rounded(micros[n]! / base, 2),
        'heap bytes a task': bytes[n]!,
      })),
      notes: [
        "The engine's own cost, to create, queue, start and finish a task, with the store in memory and a runner",
        'that finishes at once instead of the threads. Medians of rounds in which the sizes take turns.',
      ],
      targets: [
        {
          target: `cost of a task at ${most.toLocaleString('en')} queued, as a multiple of that at 1,000`,
          measured: rounded(micros.at(-1)! / base),
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
async function timeFillAndDrain(size: number, times: number): Promise<number> {
  collect();
  const started = performance.now();
  for (let n = 0; n < times; n++) {
    const runner = new InstantRunner();
    const { drain } = await fill(runner, size);
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

async function fill(runner: InstantRunner, size: number): Promise<{ drain: () => Promise<void> }> {
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

/** A place where calls end as soon as they have begun, one at a time. Closed at first. */
class InstantRunner implements Runner {
  onRoom: (lane: Lane) => void = () => {};
  #isFree = false;

  refusal(): undefined {}

  room(): number {
    return this.#isFree ? 1 : 0;
  }

  open(): void {
    this.#isFree = true;
    this.onRoom('cpu');
  }

  start(_taskId: string, _call: Call, hooks: RunHooks) {
    this.#isFree = false;
    queueMicrotask(() => {
      hooks.finished({ type: 'result', result: { content: [] }, isError: false });
      this.open();
    });
    return { thread: 1, stop: () => {} };
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

function collect(): void {
  if (globalThis.gc === undefined) throw new Error('the heap is measured: run node with --expose-gc');
  globalThis.gc();
}
