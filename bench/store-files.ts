import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SqliteStore, type Outcome, type Task } from 'mcp-taskpool';
import { Connection } from '../src/stores/sqlite-connection.ts';
import { loadDriver } from '../src/stores/sqlite-driver.ts';

const DAY_MS = 86_400_000;
/** Larger than what is put in. */
export const MAX_STORE_MB = 4096;
export const RESULT: Outcome = {
  type: 'result',
  result: { content: [{ type: 'text', text: '{"count":9592}' }], structuredContent: { count: 9592 } },
  isError: false,
};

/** A folder that is gone when it is disposed of. */
export async function temporaryFolder(): Promise<{ folder: string } & AsyncDisposable> {
  const folder = await mkdtemp(join(tmpdir(), 'mcp-taskpool-'));
  return { folder, [Symbol.asyncDispose]: () => rm(folder, { recursive: true }) };
}

/** A task as a client without a name has it. */
export function aTask(now: number, owner = 'local'): Task {
  return {
    taskId: randomUUID(),
    owner,
    call: { tool: 'count_primes', args: { limit: 100_000 }, lane: 'cpu' },
    state: 'queued',
    createdAt: now,
    updatedAt: now,
    ttlMs: DAY_MS,
    expiresAt: now + DAY_MS,
    pollIntervalMs: 1000,
  };
}

export function ended(task: Task): Task {
  return { ...task, state: 'completed', endedAt: task.createdAt, thread: 1, outcome: RESULT };
}

/** Creates a task and ends it. */
export async function live(store: SqliteStore): Promise<void> {
  const task = aTask(store.clock.now());
  await store.create(task);
  if (!(await store.replace('queued', ended(task)))) throw new Error(`${task.taskId} could not be ended`);
}

/** A file with tasks that have ended, of which each expires a millisecond after the one before; and the ids of some. */
export async function fill(
  path: string,
  count: number,
  ids: number,
): Promise<{ ids: string[]; firstExpiry: number }> {
  const store = await SqliteStore.open({ path, maxStoreMb: MAX_STORE_MB });
  const seed = aTask(store.clock.now());
  await store.create(ended(seed));
  await store.close();
  const connection = new Connection(
    await loadDriver(),
    path,
    'PRAGMA synchronous = OFF; PRAGMA cache_size = -200000',
  );
  connection.exec(`
    WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${count - 1})
    INSERT INTO tasks (task_id, owner, state, expires_at, ended_at, record, call, result)
    SELECT lower(hex(randomblob(16))), owner, state, expires_at + i, ended_at + i, record, call, result
    FROM n, (SELECT * FROM tasks WHERE task_id = '${seed.taskId}');
    PRAGMA wal_checkpoint(TRUNCATE);
  `);
  const random = `SELECT task_id FROM tasks WHERE sequence IN (SELECT 1 + abs(random() % ${count}) FROM tasks LIMIT ${ids})`;
  const some = connection.all(random).map((row) => String(row['task_id']));
  connection.close();
  // In random order: the file's neighbours are not asked for one after the other.
  const order = some.map((id) => ({ id, by: Math.random() })).sort((a, b) => a.by - b.by);
  return { ids: order.map(({ id }) => id), firstExpiry: seed.expiresAt };
}
