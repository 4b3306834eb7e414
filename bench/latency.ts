import type { CallToolResult } from '@modelcontextprotocol/sdk/types.js';
import type { TaskClient } from 'mcp-taskpool/client';
import { z } from 'zod';
import type { Benchmark, Report } from './benchmark.ts';
import { clockMs } from './clock.ts';
import { inMemory, overStdio, runTask } from './pairs.ts';
import { BENCH_TOOLS, moduleOf, THREADS } from './places.ts';
import { rawPiscina, runTool } from './raw-piscina.ts';
import { median, quantile, rounded } from './statistics.ts';
import { stock } from './stock.ts';

const TOGETHER = 16;

type Contender = { readonly what: string; readonly nap: (ms: number) => Promise<{ at: number }> };

/** How long a result that is there takes to be in the client's hands. */
export const latency = {
  name: 'latency',
  title: "From a task's end to the client holding its result, at the default poll interval",
  async run(short): Promise<Report> {
    const rounds = short ? 1 : 10;
    await using near = await inMemory({ tools: BENCH_TOOLS, threads: THREADS });
    await using far = await overStdio(BENCH_TOOLS);
    const piscina = rawPiscina(TOGETHER);
    const module = moduleOf(BENCH_TOOLS, 'nap');
    await using theirs = await stock(piscina, 'nap', { ms: z.number() }, async (args) => {
      const structuredContent = (await runTool(piscina, { module, args })) as { at: number };
      return { content: [{ type: 'text', text: '' }], structuredContent };
    });
    const contenders: readonly Contender[] = [
      { what: 'in memory', nap: (ms) => nap(near.client, ms) },
      { what: 'over stdio', nap: (ms) => nap(far, ms) },
      { what: 'SDK alone, in memory', nap: async (ms) => atOf(await runTask(theirs.client, 'nap', { ms })) },
    ];
    const waits = contenders.map((): number[] => []);
    // The first round loads the tool into the threads.
    for (let round = 0; round <= rounds; round++) {
      for (const [n, { nap }] of contenders.entries()) {
        const waited = await Promise.all(
          Array.from({ length: TOGETHER }, async () => {
            const { at } = await nap(20 + 100 * Math.random());
            return clockMs() - at;
          }),
        );
        if (round > 0) waits[n]!.push(...waited);
      }
    }
    const p50 = waits.map((values) => rounded(median(values)));
    return {
      rows: contenders.map(({ what }, n) => ({
        what,
        samples: waits[n]!.length,
        'p50 ms': p50[n]!,
        'p99 ms': rounded(quantile(waits[n]!, 0.99)),
      })),
      notes: [`${TOGETHER} tasks at a time, of 20 to 120 ms each, in rounds in which the three take turns.`],
      targets: [
        {
          target: 'task end to client holding the result, in memory, p50',
          measured: p50[0]!,
          atMost: 3,
          unit: 'ms',
        },
        { target: 'the same over stdio, p50', measured: p50[1]!, atMost: 3, unit: 'ms' },
      ],
    };
  },
} satisfies Benchmark;

async function nap(client: TaskClient, ms: number): Promise<{ at: number }> {
  const result = await client.startTask<{ at: number }>('nap', { ms });
  if (result.isError) throw new Error(result.text);
  return result.data;
}

function atOf({ structuredContent }: CallToolResult): { at: number } {
  return structuredContent as { at: number };
}
