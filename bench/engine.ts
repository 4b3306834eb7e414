import { MemoryStore } from '../src/stores/memory.ts';
import { Engine } from '../src/tasks/engine.ts';
import type { Runner } from '../src/tasks/runner.ts';
import { isTerminal, type Task } from '../src/tasks/task.ts';

const HOUR_MS = 3_600_000;
const SILENT = { info: () => {}, warn: () => {}, error: () => {} };

/** An engine without a protocol before it. */
export function engineWith(runner: Runner) {
  const engine = new Engine({
    store: new MemoryStore(),
    runner,
    log: SILENT,
    defaultTtlMs: HOUR_MS,
    maxTtlMs: HOUR_MS,
    pollIntervalMs: 1000,
    maxQueued: Infinity,
    maxQueuedPerOwner: Infinity,
    maxRunningPerOwner: Infinity,
  });
  const create = (tool: string, ended: (task: Task) => void) =>
    engine.create(
      { owner: 'bench', call: { tool, args: {}, lane: 'cpu' } },
      { status: ({ task }) => isTerminal(task) && ended(task) },
    );
  return {
    /** Creates a task; resolves when it is queued. */
    create,
    /** Creates a task; resolves when it has ended. */
    async run(tool: string): Promise<void> {
      const task = await new Promise<Task>((resolve, reject) => {
        create(tool, resolve).catch(reject);
      });
      if (task.state !== 'completed') throw new Error(`${tool}: ${task.statusMessage}`);
    },
    close: () => engine.close(0),
  };
}
