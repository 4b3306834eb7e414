import type { TaskClient } from 'mcp-taskpool/client';
import type { Benchmark, Report } from './benchmark.ts';
import { clockMs } from './clock.ts';
import { inMemory, spin } from './pairs.ts';
import { BENCH_TOOLS } from './places.ts';
import { median, quantile, rounded } from './statistics.ts';

const GRACE_MS = 250;

/** How soon a thread has something else to do. */
export const cancel = {
  name: 'cancel',
  title: 'From cancel to the next task of the thread',
  async run(short): Promise<Report> {
    await using pair = await inMemory({ tools: BENCH_TOOLS, threads: 1, graceMs: GRACE_MS });
    await pair.client.startTask('stamp', {});
    await untilFree(pair.client, 'obey');
    const obeying: Free[] = [];
    const ignoring: Free[] = [];
    for (let round = 0; round < (short ? 2 : 25); round++) {
      // The first on a new thread loads the tool; that is counted in `ignoring`, as it happens there.
      await untilFree(pair.client, 'obey');
      for (let n = 0; n < (short ? 1 : 8); n++) obeying.push(await untilFree(pair.client, 'obey'));
      ignoring.push(await untilFree(pair.client, 'ignore'));
    }
    const row = (what: string, waits: readonly Free[]) => ({
      what,
      samples: waits.length,
      'task taken, p50 ms': rounded(median(waits.map(({ taken }) => taken))),
      'first line, p50 ms': rounded(median(waits.map(({ begun }) => begun))),
      'first line, p99 ms': rounded(
        quantile(
          waits.map(({ begun }) => begun),
          0.99,
        ),
      ),
    });
    const begun = (waits: readonly Free[]) => rounded(median(waits.map(({ begun }) => begun)));
    return {
      rows: [
        row('a loop that looks at the signal', obeying),
        row(`a loop that ignores it (grace ${GRACE_MS} ms, then a new thread)`, ignoring),
      ],
      notes: [
        'One thread, in memory. From the sending of tasks/cancel until the client hears that the next task runs,',
        'and until the first line of its tool, which a new thread has to load. The targets are for the latter.',
      ],
      targets: [
        {
          target: 'co-operative cancel to thread free, p50',
          measured: begun(obeying),
          atMost: 5,
          unit: 'ms',
        },
        {
          target: 'cancel of a loop that ignores the signal to thread free, p50',
          measured: begun(ignoring),
          atMost: GRACE_MS + 100,
          unit: 'ms',
        },
      ],
    };
  },
} satisfies Benchmark;

/** Milliseconds from the cancel of a task until the one that waits behind it has a thread, and runs. */
interface Free {
  readonly taken: number;
  readonly begun: number;
}

async function untilFree(client: TaskClient, tool: 'obey' | 'ignore'): Promise<Free> {
  const endless = await spin(client, tool);
  const next = client.startTask<{ at: number }>('stamp', {});
  await next.created();
  const { status } = await next.status();
  if (status !== 'submitted') throw new Error(`the task behind ${tool} is ${status}`);
  const cancelled = clockMs();
  const takenAt = next.wait({ status: 'working' }).then(clockMs);
  const [taken, { data }] = await Promise.all([takenAt, next, endless.task.cancel()]);
  return { taken: taken - cancelled, begun: data.at - cancelled };
}
