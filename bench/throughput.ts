import type { CallToolResult } from '@modelcontextprotocol/sdk/types.js';
import type { Benchmark, Report } from './benchmark.ts';
import { engineWith } from './engine.ts';
import { inMemory, inMemoryWithSdkClient, overStdio, runTask } from './pairs.ts';
import { noopPool } from './noop-pool.ts';
import { BENCH_TOOLS, THREADS } from './places.ts';
import { rate, type RateOptions } from './rate.ts';
import { rawPiscina, runNoop } from './raw-piscina.ts';
import { median, rounded } from './statistics.ts';
import { stock } from './stock.ts';

const IN_FLIGHT = 64;
/** The SDK looks for results once a second: the more that wait for the look, the more it gets done. */
const MANY_IN_FLIGHT = [256, 2000, 5000];

type Contender = readonly [name: string, call: () => PromiseLike<unknown>];

/** How many calls of a tool that does nothing get through. */
export const throughput = {
  name: 'throughput',
  title: 'Calls a second of a tool that does nothing',
  async run(short): Promise<Report> {
    const layers = await measureLayers(short);
    const protocols = await measureProtocols(short);
    const raw = layers.get(RAW)!;
    // Each at the number in flight that suits it.
    const ours = best(protocols.map((rates) => rates.ours));
    const stock = best(protocols.map((rates) => rates.stock));
    const rows = [
      ...[...layers].map(([what, rates]) => toRow(what, IN_FLIGHT, rates, RAW, raw)),
      ...protocols.flatMap((rates) => [
        toRow(
          'SDK client, SDK server, task in raw Piscina',
          rates.inFlight,
          rates.stock,
          "the SDK's best",
          stock,
        ),
        toRow('SDK client, this server', rates.inFlight, rates.ours, "the SDK's best", stock),
      ]),
    ];
    return {
      rows,
      notes: [
        `${THREADS} threads everywhere. Medians of rounds in which they take turns.`,
        'The SDK alone answers tasks/result once a second, so it needs many calls in flight: each is taken at its best.',
      ],
      targets: [
        {
          target: "no-op calls a second through engine and pool, as a share of raw Piscina's",
          measured: rounded(ratio(layers.get(POOL)!, raw)),
          atLeast: 0.6,
        },
        {
          target:
            'the same through the protocol in memory, as a multiple of the SDK alone (each at its best)',
          measured: rounded(ratio(ours, stock)),
          atLeast: 1,
        },
      ],
    };
  },
} satisfies Benchmark;

const RAW = 'raw Piscina';
const POOL = 'engine and pool';

/** What each layer leaves of what raw Piscina does. */
async function measureLayers(short: boolean): Promise<Map<string, number[]>> {
  const piscina = rawPiscina();
  const engine = engineWith(noopPool('thread'));
  const apart = engineWith(noopPool('process'));
  await using near = await inMemory({ tools: BENCH_TOOLS, threads: THREADS });
  await using far = await overStdio(BENCH_TOOLS);
  const contenders: readonly Contender[] = [
    [RAW, () => runNoop(piscina)],
    [POOL, () => engine.run('noop')],
    ['engine and pool in a process', () => apart.run('noop')],
    ['client and server in memory', () => near.client.startTask('noop', {})],
    ['client and server over stdio', () => far.startTask('noop', {})],
  ];
  const options: RateOptions = {
    inFlight: IN_FLIGHT,
    warmUpMs: short ? 50 : 300,
    windowMs: short ? 100 : 1000,
  };
  try {
    return await takeTurns(contenders, options, short ? 1 : 7);
  } finally {
    await engine.close();
    await apart.close();
    await piscina.destroy();
  }
}

interface Protocols {
  readonly inFlight: number;
  readonly ours: readonly number[];
  readonly stock: readonly number[];
}

/** Our server and the SDK's, for the same client. */
async function measureProtocols(short: boolean): Promise<Protocols[]> {
  const protocols: Protocols[] = [];
  for (const inFlight of short ? [100] : MANY_IN_FLIGHT) {
    const options = { inFlight, warmUpMs: short ? 100 : 2500, windowMs: short ? 1500 : 2500 };
    const ours: number[] = [];
    const theirs: number[] = [];
    // A server for each turn, because neither forgets a task before it expires.
    for (let round = 0; round < (short ? 1 : 3); round++) {
      {
        await using pair = await inMemoryWithSdkClient({ tools: BENCH_TOOLS, threads: THREADS });
        ours.push(await rate(() => runTask(pair.client, 'noop', {}), options));
      }
      globalThis.gc?.();
      {
        const piscina = rawPiscina();
        await using pair = await stock(
          piscina,
          'noop',
          {},
          () => runNoop(piscina) as Promise<CallToolResult>,
        );
        theirs.push(await rate(() => runTask(pair.client, 'noop', {}), options));
      }
      globalThis.gc?.();
    }
    protocols.push({ inFlight, ours, stock: theirs });
  }
  return protocols;
}

async function takeTurns(
  contenders: readonly Contender[],
  options: RateOptions,
  rounds: number,
): Promise<Map<string, number[]>> {
  const rates = new Map<string, number[]>(contenders.map(([name]) => [name, []]));
  for (let round = 0; round < rounds; round++) {
    for (const [name, call] of contenders) {
      rates.get(name)!.push(await rate(call, options));
      globalThis.gc?.();
    }
  }
  return rates;
}

function toRow(
  what: string,
  inFlight: number,
  rates: readonly number[],
  beside: string,
  base: readonly number[],
) {
  return {
    what,
    'in flight': inFlight,
    'calls a second': Math.round(median(rates)),
    share: `${rounded(ratio(rates, base), 2)} of ${beside}`,
  };
}

function best(all: readonly (readonly number[])[]): readonly number[] {
  return all.reduce((best, rates) => (median(rates) > median(best) ? rates : best));
}

/** Round by round, so that what slows the machine down for a while slows both. */
function ratio(rates: readonly number[], base: readonly number[]): number {
  return median(rates.map((value, round) => value / base[round]!));
}
