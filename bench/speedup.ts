import { setTimeout } from 'node:timers/promises';
import type { TaskClient } from 'mcp-taskpool/client';
import type { Piscina } from 'piscina';
import { Bench } from 'tinybench';
import type { Benchmark, Report } from './benchmark.ts';
import { inMemory } from './pairs.ts';
import { moduleOf, THREADS, TOOLS } from './places.ts';
import { rawPiscina, runTool as runInPiscina } from './raw-piscina.ts';
import { runTool } from './run-tool.ts';
import { geometricMean, median, rounded } from './statistics.ts';

/** Some 150 ms each. */
const WORK: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
  count_primes: { from: 900_000_000, limit: 950_000_000 },
  mandelbrot: { width: 640, height: 480, maxIterations: 1000 },
};
const SHORT_WORK: typeof WORK = {
  count_primes: { limit: 1_000_000 },
  mandelbrot: { width: 160, height: 120 },
};
/** Every order once: what one leaves behind (garbage, a warm cache) comes before each of the others equally. */
const ORDERS = [
  ['sequential', 'pool', 'piscina'],
  ['piscina', 'pool', 'sequential'],
  ['pool', 'piscina', 'sequential'],
  ['sequential', 'piscina', 'pool'],
  ['piscina', 'sequential', 'pool'],
  ['pool', 'sequential', 'piscina'],
] as const;

export type SpeedupRow = {
  readonly tool: string;
  readonly tasks: number;
  readonly 'sequential ms': number;
  readonly 'pool ms': number;
  readonly 'Piscina ms': number;
  readonly 'pool speedup': number;
  readonly 'Piscina speedup': number;
  readonly 'pool / Piscina': number;
};

/** The same tool modules one after another on the main thread, as tasks of a server, and in raw Piscina. */
export const speedup = {
  name: 'speedup',
  title: 'CPU-bound tasks: one after another, through the pool, in raw Piscina',
  async run(short): Promise<Report<SpeedupRow>> {
    const counts = short ? [1, 2] : [1, 2, 4, 8, 16];
    const rounds = short ? 1 : ORDERS.length;
    const piscina = rawPiscina();
    await using pair = await inMemory({ tools: TOOLS, threads: THREADS });
    const rows: SpeedupRow[] = [];
    try {
      for (const [tool, args] of Object.entries(short ? SHORT_WORK : WORK)) {
        const warm = 2 * THREADS;
        await round(pair.client, piscina, tool, args, warm, 0);
        for (const tasks of counts) {
          const times: Times[] = [];
          for (let n = 0; n < rounds; n++)
            times.push(await round(pair.client, piscina, tool, args, tasks, n));
          rows.push(toRow(tool, tasks, times));
        }
      }
    } finally {
      await piscina.destroy();
    }
    const many = rows.filter(({ tasks }) => short || tasks >= 8);
    return {
      rows,
      notes: [
        `${THREADS} threads each; the pool behind the whole protocol, with client and server in one process.`,
        `Medians of ${rounds} rounds, one for each order of the three; ratios are taken round by round.`,
      ],
      targets: [
        {
          target: "CPU speedup, as a share of raw Piscina's (8 and 16 tasks, geometric mean)",
          measured: rounded(geometricMean(many.map((row) => row['pool / Piscina']))),
          atLeast: 0.95,
        },
      ],
    };
  },
} satisfies Benchmark;

type Times = Record<(typeof ORDERS)[number][number], number>;

/** Each once. */
async function round(
  client: TaskClient,
  piscina: Piscina,
  tool: string,
  args: Readonly<Record<string, unknown>>,
  tasks: number,
  n: number,
): Promise<Times> {
  const call = { module: moduleOf(TOOLS, tool), args };
  const all = (run: () => PromiseLike<unknown>) => Promise.all(Array.from({ length: tasks }, run));
  const runs: Record<keyof Times, () => Promise<unknown>> = {
    async sequential() {
      for (let task = 0; task < tasks; task++) await runTool(call);
    },
    pool: () =>
      all(async () => {
        const result = await client.startTask(tool, args);
        if (result.isError) throw new Error(result.text);
      }),
    piscina: () => all(() => runInPiscina(piscina, call)),
  };
  const bench = new Bench({ iterations: 1, time: 0, warmup: false, throws: true });
  const beforeEach = async () => {
    globalThis.gc?.();
    await setTimeout(20);
  };
  for (const name of ORDERS[n % ORDERS.length]!) bench.add(name, runs[name], { async: true, beforeEach });
  await bench.run();
  const time = (name: keyof Times) => {
    const { result } = bench.getTask(name)!;
    if (result.state !== 'completed') throw new Error(`${name} is ${result.state}`);
    return result.latency.mean;
  };
  return { sequential: time('sequential'), pool: time('pool'), piscina: time('piscina') };
}

function toRow(tool: string, tasks: number, times: readonly Times[]): SpeedupRow {
  const middle = (of: (times: Times) => number) => rounded(median(times.map(of)));
  return {
    tool,
    tasks,
    'sequential ms': middle(({ sequential }) => sequential),
    'pool ms': middle(({ pool }) => pool),
    'Piscina ms': middle(({ piscina }) => piscina),
    'pool speedup': middle(({ sequential, pool }) => sequential / pool),
    'Piscina speedup': middle(({ sequential, piscina }) => sequential / piscina),
    'pool / Piscina': middle(({ pool, piscina }) => piscina / pool),
  };
}
