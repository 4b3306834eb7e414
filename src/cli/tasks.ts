import { Command, Option } from 'commander';
import type { KeptTask, SqliteInspector } from '../stores/sqlite-inspector.ts';
import { isTerminal, type TaskState } from '../tasks/task.ts';
import { print, resultLines } from './print.ts';
import { defaultStorePath, sqlitePlace } from './store-place.ts';
import { detailsOf, factsOf, rowsOf, summaryOf } from './task-words.ts';
import { count, duration, seconds } from './values.ts';

const STATES = [
  'queued',
  'running',
  'input_required',
  'completed',
  'failed',
  'cancelled',
] as const satisfies readonly TaskState[];

interface Flags {
  tools?: string;
  store?: { readonly path: string };
  json?: true;
}

interface ListFlags extends Flags {
  status?: TaskState[];
  owner?: string;
  limit: number;
}

/** `mcp-taskpool tasks`: what a server keeps, for people, whether it runs or not. */
export function tasksCommand(): Command {
  const command = new Command('tasks').description(
    'Look at the tasks that a server keeps in its file, and end them; also while it runs',
  );
  const add = (name: string, description: string) =>
    command
      .command(name)
      .description(description)
      .option('--tools <dir>', 'the folder of tool modules whose tasks they are (default: "tools")')
      .addOption(
        new Option('--store <store>', 'where they are kept: sqlite:PATH (default: the place of --tools)')
          .argParser((value: string) => sqlitePlace(value))
          .conflicts('tools'),
      )
      .option('--json', 'print JSON, a task a line');
  add('list', 'List the tasks, the newest first')
    .addOption(
      new Option('--status <status...>', 'only those of this status; may be repeated').choices(STATES),
    )
    .option('--owner <owner>', 'only those of this owner')
    .option('--limit <n>', 'how many', count, 50)
    .action(list);
  add('get', 'Print all that is known of a task').argument('<id>', "the task's id").action(get);
  add('result', 'Print the result of a task that has ended').argument('<id>', "the task's id").action(result);
  add('cancel', 'Cancel a task, and wait until it is cancelled')
    .argument('<id>', "the task's id")
    .option('--timeout <s>', 'how long to wait for the server that has it', seconds, 10)
    .action(cancel);
  add('purge', 'Remove tasks that have ended')
    .option('--older-than <time>', 'only those that ended so long ago: 90s, 30m, 12h, 7d', duration)
    .action(purge);
  return command;
}

async function list({ status, owner, limit, json, ...where }: ListFlags): Promise<void> {
  await onStore(where, async (store) => {
    const found = store.list({ states: status, owner, limit: limit + 1 });
    const tasks = found.slice(0, limit);
    if (json) await print(tasks.map(({ task }) => JSON.stringify(summaryOf(task))));
    else await print(tasks.length > 0 ? rowsOf(tasks, process.stdout.columns) : ['No tasks']);
    if (found.length > limit) console.error(`There are more: --limit ${limit * 10} shows more of them`);
  });
}

async function get(taskId: string, { json, ...where }: Flags): Promise<void> {
  await onStore(where, async (store) => {
    const kept = known(await store.get(taskId), taskId, store);
    await print(json ? [JSON.stringify(detailsOf(kept))] : factsOf(kept));
  });
}

async function result(taskId: string, { json, ...where }: Flags): Promise<void> {
  await onStore(where, async (store) => {
    const { task } = known(await store.get(taskId), taskId, store);
    if (!isTerminal(task)) throw new Error(`Task ${taskId} has not ended: it is ${task.state}`);
    const { outcome } = task;
    if (outcome.type === 'cancelled') throw new Error(`Task ${taskId} was cancelled`);
    if (outcome.type === 'error') throw new Error(outcome.message);
    const { content } = outcome.result as { content?: { type: string }[] };
    await print(json ? [JSON.stringify(outcome.result)] : resultLines(content ?? []));
    if (outcome.isError) process.exitCode = 1;
  });
}

async function cancel(
  taskId: string,
  { json, timeout, ...where }: Flags & { timeout: number },
): Promise<void> {
  await onStore(where, async (store) => {
    const kept = known(await store.cancel(taskId, { timeoutMs: timeout * 1000 }), taskId, store);
    await print([json ? JSON.stringify(detailsOf(kept)) : `Task ${taskId} is cancelled`]);
  });
}

async function purge({ json, olderThan, ...where }: Flags & { olderThan?: number }): Promise<void> {
  await onStore(where, async (store) => {
    // All of them, though the clock has been set back.
    const before = olderThan === undefined ? Number.MAX_SAFE_INTEGER : Date.now() - olderThan;
    const ended = store.countEnded(before);
    if (!json) await print([`Removing ${ended} ended ${ended === 1 ? 'task' : 'tasks'} of ${store.path}`]);
    const removed = await store.purge(before);
    if (json) await print([JSON.stringify({ removed })]);
  });
}

async function onStore(
  { tools = 'tools', store }: Flags,
  act: (store: SqliteInspector) => Promise<void>,
): Promise<void> {
  const path = store?.path ?? (await defaultStorePath(tools));
  const { SqliteInspector } = await import('../stores/sqlite-inspector.ts');
  using inspector = await SqliteInspector.open(path);
  try {
    await act(inspector);
  } catch (error) {
    // In SQLite's own words, which name no file.
    const isOfSqlite = (error as { code?: unknown }).code === 'ERR_SQLITE_ERROR';
    throw isOfSqlite ? new Error(`${path}: ${(error as Error).message}`, { cause: error }) : error;
  }
}

function known(kept: KeptTask | undefined, taskId: string, { path }: SqliteInspector): KeptTask {
  if (kept === undefined) throw new Error(`No task ${taskId} in ${path}: it does not exist, or has expired`);
  return kept;
}
