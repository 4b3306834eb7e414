import { copyFile } from 'node:fs/promises';
import { describe, expect, it, onTestFinished } from 'vitest';
import { SqliteStore } from 'mcp-taskpool';
import { loadDriver } from '../../src/stores/sqlite-driver.ts';
import { pathOfStore } from './folder.ts';
import { aTask } from './tasks.ts';

const TASKS = 1500;
/** Not large enough to be kept beside the row. */
const ARGS = { text: 'x'.repeat(10_000) };

describe('A SQLite store whose log has grown while another process reads', () => {
  it('has it copied into the file when that one is done, without a commit', async () => {
    const path = await pathOfStore();
    const before = await SqliteStore.open({ path });
    await before.create(aTask({ taskId: 'first' }));
    await before.close();
    // Its beat would be a commit.
    const store = await SqliteStore.open({ path, leaseMs: 3_600_000 });
    onTestFinished(() => store.close());
    const { DatabaseSync } = await loadDriver();
    const reader = new DatabaseSync(path);
    reader.exec('BEGIN');
    reader.prepare('SELECT count(*) FROM tasks').get();
    const call = { tool: 'noop', args: ARGS, lane: 'cpu' as const };
    for (let n = 0; n < TASKS; n++) await store.create(aTask({ taskId: `t${n}`, call }));
    expect(await countIn(path)).toBe(1);
    reader.exec('COMMIT');
    reader.close();
    await expect.poll(() => countIn(path), { timeout: 20_000 }).toBe(1 + TASKS);
  });
});

/** How many tasks are in the file itself, without its log; undefined while it is being written. */
async function countIn(path: string): Promise<number | undefined> {
  const copy = `${path}-copy`;
  await copyFile(path, copy);
  const { DatabaseSync } = await loadDriver();
  const database = new DatabaseSync(copy);
  try {
    return Number(database.prepare('SELECT count(*) AS tasks FROM tasks').get()?.['tasks']);
  } catch {
    return undefined;
  } finally {
    database.close();
  }
}
