import { loadDriver } from '../src/stores/sqlite-driver.ts';
import { SqliteStore } from '../src/stores/sqlite.ts';
import type { Call, Outcome } from '../src/tasks/task.ts';
import { engineWith } from './engine.ts';
import { InstantRunner } from './instant-runner.ts';

const AT_ONCE = 50_000;

/** What the tasks here are calls of, and what it gives: some 500 bytes a row. */
export const TOOL = 'count_primes';
export const ARGS: Call['args'] = { from: 2, to: 1_000_000 };
const primes = { count: 78_498, largest: 999_983 };
export const RESULT: Outcome = {
  type: 'result',
  result: { content: [{ type: 'text', text: JSON.stringify(primes) }], structuredContent: primes },
  isError: false,
};

/** The id of the `n`th task of {@link makeFile}: of the length of a UUID, and next to none that was made next to it. */
export function taskId(n: number): string {
  const scattered = (BigInt(n) * SCATTER) & 0xffff_ffffn;
  return `${scattered.toString(16).padStart(8, '0')}-0000-4000-8000-${n.toString(16).padStart(12, '0')}`;
}

const SCATTER = 2_654_435_761n;
/** The same as {@link taskId}, in SQL. */
const TASK_ID = `printf('%08x-0000-4000-8000-%012x', n * ${SCATTER} & 0xffffffff, n)`;
const ALIKE = `
  WITH RECURSIVE numbers (n) AS (SELECT ? UNION ALL SELECT n + 1 FROM numbers WHERE n < ?)
  INSERT INTO tasks (task_id, owner, state, expires_at, ended_at, record, call, result)
  SELECT ${TASK_ID}, owner, state, expires_at + n, ended_at + n, record, call, result
  FROM numbers, (SELECT * FROM tasks WHERE sequence = 1)`;

/**
 * Makes a store's file with tasks that have ended, from 1 on: as many copies of one that was really run.
 * @returns how large the file is, in megabytes
 */
export async function makeFile(path: string, rows: number): Promise<number> {
  const runner = new InstantRunner(1, () => RESULT);
  runner.open();
  const engine = engineWith(runner, await SqliteStore.open({ path }));
  await engine.run(TOOL, ARGS);
  await engine.close();

  const database = new (await loadDriver()).DatabaseSync(path);
  database.exec('PRAGMA synchronous = OFF; PRAGMA wal_autocheckpoint = 20000; PRAGMA cache_size = -524288');
  for (let from = 1; from <= rows; from += AT_ONCE) {
    database.prepare(ALIKE).run(from, Math.min(from + AT_ONCE - 1, rows));
  }
  database.exec('DELETE FROM tasks WHERE sequence = 1; PRAGMA wal_checkpoint(TRUNCATE)');
  const { bytes } = database
    .prepare('SELECT page_count * page_size AS bytes FROM pragma_page_count, pragma_page_size')
    .get()!;
  database.close();
  return Number(bytes) / 2 ** 20;
}

/** Lets tasks of the file have expired by now. */
export async function expire(path: string, from: number, to: number): Promise<void> {
  const database = new (await loadDriver()).DatabaseSync(path);
  database
    .prepare(
      `UPDATE tasks SET expires_at = 1, record = json_set(record, '$.expiresAt', 1) WHERE sequence BETWEEN ? AND ?`,
    )
    .run(from, to);
  database.exec('PRAGMA wal_checkpoint(TRUNCATE)');
  database.close();
}
