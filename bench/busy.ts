import { GetTaskResultSchema } from '@modelcontextprotocol/sdk/types.js';
import type { TaskClient } from 'mcp-taskpool/client';
import type { Benchmark, Report } from './benchmark.ts';
import { overStdio, spin } from './pairs.ts';
import { BENCH_TOOLS, THREADS } from './places.ts';
import { median, quantile, rounded } from './statistics.ts';

/** Whether a server whose threads compute still answers. */
export const busy = {
  name: 'busy',
  title: 'tasks/get over stdio, while every thread spins and tasks wait',
  async run(short): Promise<Report> {
    const waiting = short ? 50 : 1000;
    const requests = short ? 20 : 300;
    await using client = await overStdio(BENCH_TOOLS);
    const idle: number[] = [];
    const spinning: number[] = [];
    for (let round = 0; round < (short ? 1 : 5); round++) {
      const done = client.startTask('noop', {});
      await done;
      idle.push(...(await ask(client, [done.taskId!], requests)));

      const spins = await Promise.all(Array.from({ length: THREADS }, () => spin(client, 'ignore')));
      const queued = Array.from({ length: waiting }, () => client.startTask('noop', {}));
      const ids = await Promise.all(queued.map((task) => task.created()));
      spinning.push(...(await ask(client, ids as string[], requests)));
      await Promise.all([...queued, ...spins.map(({ task }) => task)].map((task) => task.cancel()));
    }
    const row = (what: string, waits: readonly number[]) => ({
      what,
      samples: waits.length,
      'p50 ms': rounded(median(waits)),
      'p99 ms': rounded(quantile(waits, 0.99)),
    });
    return {
      rows: [row('idle', idle), row(`${THREADS} threads spin, ${waiting} tasks wait`, spinning)],
      notes: ['One request at a time, from a client in another process, which has to share the cores too.'],
      targets: [
        {
          target: `tasks/get over stdio while every thread spins and ${waiting} tasks wait, p99`,
          measured: rounded(quantile(spinning, 0.99)),
          atMost: 20,
          unit: 'ms',
        },
      ],
    };
  },
} satisfies Benchmark;

async function ask(client: TaskClient, taskIds: readonly string[], requests: number): Promise<number[]> {
  const waits: number[] = [];
  for (let n = 0; n < requests; n++) {
    const taskId = taskIds[(n * 37) % taskIds.length]!;
    const started = performance.now();
    await client.sdk.request({ method: 'tasks/get', params: { taskId } }, GetTaskResultSchema);
    waits.push(performance.now() - started);
  }
  return waits;
}
