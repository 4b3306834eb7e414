import { MemoryStore } from '../src/stores/memory.ts';
import { Engine } from '../src/tasks/engine.ts';
import type { Runner } from '../src/tasks/runner.ts';
import type { TaskStore } from '../src/tasks/store.ts';
import { isTerminal, type Call, type Task } from '../src/tasks/task.ts';

/** Who a client over stdio, or in memory, is. */
const OWNER = 'local';
const HOUR_MS = 3_600_000;
const SILENT = { info: () => {}, warn: () => {}, error: () => {} };

/** An engine without a protocol before it. */
export function engineWith(runner: Runner, store: TaskStore = new MemoryStore()) {
  const engine = new Engine({
    store,
    runner,
    log: SILENT,
    defaultTtlMs: HOUR_MS,
    maxTtlMs: HOUR_MS,
    pollIntervalMs: 1000,
    maxQueued: Infinity,
    maxQueuedPerOwner: Infinity,
    maxRunningPerOwner: Infinity,
  });
  const create = (tool: string, ended: (task: Task) => void, args: Call['args'] = {}) =>
    engine.create(
      { owner: OWNER, call: { tool, args, lane: 'cpu' } },
      { status: ({ task }) => isTerminal(task) && ended(task) },
    );
  return {
    /** Creates a task; resolves when it is queued. */
    create,
    /** Creates a task; resolves when it has ended. */
    async run(tool: string, args?: Call['args']): Promise<Task> {
      const task = await new Promise<Task>((resolve, reject) => {
        create(tool, resolve, args).catch(reject);
      });
      if (task.state !== 'completed') throw new Error(`${tool}: ${task.statusMessage}`);
      return task;
    },
    get: (taskId: string) => engine.get(OWNER, taskId),
    list: (cursor?: string) => engine.list(OWNER, cursor, 50),
    /** Takes over what the store has. */
    recover: () => engine.recover(),
    close: () => engine.close(0),
  };
}
