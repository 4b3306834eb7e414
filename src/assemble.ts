import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { CatalogError } from './errors.ts';
import type { ServerOptions } from './options.ts';
import { readCatalog } from './pool/catalog.ts';
import { environment } from './pool/place.ts';
import type { Service } from './wire/service.ts';

const HOUR_MS = 3_600_000;

/**
 * Reads the tools folder, opens the store, and starts the threads and the engine.
 * @throws {CatalogError} with a line for each module that is at fault, unless `lenient`
 * @throws what keeps the store from opening
 */
export async function assemble(
  options: ServerOptions,
  shared: Pick<Service, 'lookUps' | 'log' | 'pageSize'>,
): Promise<Pick<Service, 'engine' | 'toolbox' | 'taskTools'>> {
  const { log } = shared;
  const folder = options.tools instanceof URL ? fileURLToPath(options.tools) : options.tools;
  const { isolation = 'thread', env = [], lockdown } = options;
  const place = { isolation, env: environment(env), lockdown: lockdown && { tools: folder, ...lockdown } };
  const catalog = await readCatalog(folder, {
    place,
    loadTimeoutMs: options.loadTimeoutMs ?? 10_000,
    reserved: options.taskTools ? (await import('./wire/task-tools-schema.ts')).TASK_TOOL_NAMES : [],
    leaveOut: options.lenient ? (problem) => log.warn({ problem }, `left out: ${problem}`) : undefined,
  });
  if (catalog.size === 0) throw new CatalogError([`${folder}: no module could be loaded`]);
  const named = [...catalog.values()].flatMap((tool) => tool.env);
  // Loaded only now: until the tools are read, this process has a first answer to give.
  const [{ ThreadPool }, { Engine }, { MemoryStore }, { Toolbox }, TaskTools] = await Promise.all([
    import('./pool/pool.ts'),
    import('./tasks/engine.ts'),
    import('./stores/memory.ts'),
    import('./wire/tools.ts'),
    options.taskTools ? import('./wire/task-tools.ts').then((module) => module.TaskTools) : undefined,
  ]);
  const { store: wanted } = options;
  const store = typeof wanted === 'function' ? await wanted() : (wanted ?? new MemoryStore());
  let close = () => store.close();
  try {
    const runner = new ThreadPool({
      place: { ...place, env: environment([...env, ...named]) },
      threads: options.threads ?? availableParallelism(),
      ioConcurrency: options.ioConcurrency ?? 1000,
      graceMs: options.graceMs ?? 250,
      maxMemoryMb: options.maxMemoryMb,
      maxResultMb: options.maxResultMb ?? 10,
      recycleAfter: options.recycleAfter,
      tools: catalog,
      log,
    });
    const toolbox = new Toolbox(catalog);
    const engine = new Engine({
      renew: (call) => {
        const tool = toolbox.get(call.tool);
        return (
          tool && { ...toolbox.call(tool, call.args), ...(call.prepared && { prepared: call.prepared }) }
        );
      },
      store,
      runner,
      log,
      defaultTtlMs: options.defaultTtlMs ?? HOUR_MS,
      maxTtlMs: options.maxTtlMs ?? 24 * HOUR_MS,
      pollIntervalMs: options.pollIntervalMs ?? 1000,
      maxQueued: options.maxQueued ?? 200_000,
      maxQueuedPerOwner: options.maxQueuedPerOwner ?? 100_000,
      maxRunningPerOwner: options.maxRunningPerOwner ?? Infinity,
    });
    close = () => engine.close(0);
    await engine.recover();
    const taskTools = TaskTools && new TaskTools({ ...shared, engine, toolbox });
    return { engine, toolbox, taskTools };
  } catch (error) {
    await close();
    throw error;
  }
}
