import type { Benchmark, Report } from './benchmark.ts';
import { inMemory } from './pairs.ts';
import { BENCH_TOOLS, THREADS } from './places.ts';
import { median, rounded } from './statistics.ts';

/** How soon the tools' process is back after a crash. */
export const crash = {
  name: 'crash',
  title: "From a crash of the tools' process to the next result",
  async run(short): Promise<Report> {
    const told: number[] = [];
    const back: number[] = [];
    // A server each time: after several crashes in a minute it waits before it starts the process again.
    for (let round = 0; round < (short ? 1 : 9); round++) {
      await using pair = await inMemory({ tools: BENCH_TOOLS, threads: THREADS, isolation: 'process' });
      await pair.client.startTask('noop', {});
      const crashing = pair.client.startTask('crash', {});
      await crashing.created();
      const started = performance.now();
      const next = pair.client.startTask('stamp', {});
      const failed = crashing.wait().then(() => performance.now() - started);
      // Where it was given to the process that was about to die, it has failed with it.
      const done = next.wait().then(async ({ status }) => {
        if (status !== 'completed') await pair.client.startTask('stamp', {});
        return performance.now() - started;
      });
      told.push(await failed);
      back.push(await done);
    }
    const row = (what: string, waits: readonly number[]) => ({
      what,
      samples: waits.length,
      'p50 ms': rounded(median(waits)),
      'most ms': rounded(Math.max(...waits)),
    });
    return {
      rows: [row('the task that crashed has failed', told), row('the next task is done', back)],
      notes: ['In memory, with tools in a process, from the start of the tool that crashes it.'],
      targets: [
        {
          target: "a crash of the tools' process to the next result, p50",
          measured: rounded(median(back)),
          atMost: 1000,
          unit: 'ms',
        },
      ],
    };
  },
} satisfies Benchmark;
