import { fileURLToPath } from 'node:url';
import { Piscina } from 'piscina';
import type { ModuleCall } from './run-tool.ts';
import { THREADS } from './places.ts';

/**
 * Piscina as it comes, with as many threads as the pool has.
 * @param tasksPerThread how many a thread runs at once
 */
export function rawPiscina(tasksPerThread = 1): Piscina {
  return new Piscina({
    filename: fileURLToPath(new URL('./raw-worker.js', import.meta.url)),
    minThreads: THREADS,
    maxThreads: THREADS,
    concurrentTasksPerWorker: tasksPerThread,
  });
}

export function runNoop(piscina: Piscina): Promise<unknown> {
  return piscina.run(undefined, { name: 'noop' });
}

export function runTool(piscina: Piscina, call: ModuleCall): Promise<unknown> {
  return piscina.run(call, { name: 'runTool' });
}
