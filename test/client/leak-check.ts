import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { TaskClient } from 'mcp-taskpool/client';

setFlagsFromString('--expose-gc');
const gc = runInNewContext('gc') as () => void;

function heapUsed(): number {
  gc();
  gc();
  return process.memoryUsage().heapUsed;
}

/** All tasks may share it. */
export const { signal } = new AbortController();

/** All that one can do with a task. */
export const USES: Record<string, (client: TaskClient) => Promise<unknown>> = {
  'is awaited': async (client) => client.startTask('work'),
  'is left alone once it is created': (client) => client.startTask('work').created(),
  'is cancelled': async (client) => {
    const handle = client.startTask('work');
    await handle.created();
    await handle.cancel();
  },
  'is watched by every listener, with a signal that all tasks share': async (client) => {
    const handle = client.startTask('work', {}, { signal, onProgress: () => {} });
    handle.onProgress(() => {});
    handle.onStatusChange(() => {});
    const waiting = handle.wait({ signal, timeoutMs: 60_000 });
    const statuses: string[] = [];
    const all = (async () => {
      for await (const { status } of handle) statuses.push(status);
    })();
    await Promise.all([handle, waiting, all]);
  },
};

/**
 * Uses 10,000 tasks, 100 at a time; gives the bytes that are left of each, in the better half: a leak is in
 * both, compiled code in one. An entry in a map, with the id, is 150 bytes at the least.
 */
export async function bytesLeft(use: () => Promise<unknown>): Promise<number> {
  const run = async (times: number) => {
    for (let n = 0; n < times; n += 100) {
      await Promise.all(Array.from({ length: 100 }, use));
    }
  };
  await run(2000);
  const bytesPerTask: number[] = [];
  for (let before = heapUsed(); bytesPerTask.length < 2;) {
    await run(5000);
    const after = heapUsed();
    bytesPerTask.push((after - before) / 5000);
    before = after;
  }
  return Math.min(...bytesPerTask);
}
