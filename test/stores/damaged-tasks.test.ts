import { describe, expect, it, onTestFinished } from 'vitest';
import { SqliteStore, StoreUnavailableError, type Log, type Outcome } from 'mcp-taskpool';
import { Connection } from '../../src/stores/sqlite-connection.ts';
import { loadDriver } from '../../src/stores/sqlite-driver.ts';
import { pathOfStore } from './folder.ts';
import { aTask } from './tasks.ts';

const driver = await loadDriver();
const large = Array.from({ length: 120_000 }, (_, n) => n.toString(36)).join(' ');
const outcome: Outcome = { type: 'result', result: { large }, isError: false };

/** Writes what SQLite has nothing against. */
function damage(path: string, sql: string): void {
  const connection = new Connection(driver, path, '');
  connection.exec(sql);
  connection.close();
}

async function openStore(path: string, log?: Log): Promise<SqliteStore> {
  const store = await SqliteStore.open({ path, ...(log && { log }) });
  onTestFinished(() => store.close());
  return store;
}

describe('A task that is damaged in a way that SQLite does not see', () => {
  it.each([
    ['record', "UPDATE tasks SET record = 'garbage' WHERE task_id = 'bad'"],
    ['record of another kind', "UPDATE tasks SET record = 'null' WHERE task_id = 'bad'"],
    ['call', "UPDATE tasks SET call = '{' WHERE task_id = 'bad'"],
    ['large call', "UPDATE parts SET bytes = x'00' WHERE version = 0"],
  ])('in its %s is told of, and keeps nobody from the others', async (_, sql) => {
    const path = await pathOfStore();
    const first = await openStore(path);
    const call = { tool: 'noop', args: { large }, lane: 'cpu' } as const;
    await first.create(aTask({ taskId: 'before' }));
    await first.create(aTask({ taskId: 'bad', call }));
    await first.create(aTask({ taskId: 'after' }));
    await first.close();
    damage(path, sql);

    const told: string[] = [];
    const log: Log = {
      info: () => {},
      warn: () => {},
      error: ({ err }: { err?: Error }) => told.push(`${err}`),
    };
    const store = await openStore(path, log);
    const refused: unknown = await store.get('bad').catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(StoreUnavailableError);
    expect(String(refused)).toContain('what the store has of task bad is damaged');
    const claimed = await store.shared.claim();
    expect(claimed.map(({ taskId }) => taskId)).toEqual(['before', 'after']);
    expect(told).toEqual([expect.stringContaining('task bad is damaged')]);
    expect(await store.shared.claim()).toEqual([]);
    await store.create(aTask({ taskId: 'new' }));
    expect((await store.purge(1e9)).map(({ taskId }) => taskId)).toContain('bad');
    expect(await store.size()).toBe(0);
  });

  it.each([
    ['is not what was compressed', "UPDATE parts SET bytes = x'00' WHERE part = 0"],
    ['is changed in its middle', 'UPDATE parts SET bytes = zeroblob(length(bytes)) WHERE part = 1'],
    ['misses its end', 'UPDATE parts SET bytes = substr(bytes, 1, 9000) WHERE part = 1'],
  ])('gives no wrong result where that %s', async (_, sql) => {
    const path = await pathOfStore();
    const store = await openStore(path);
    await store.create(aTask({ taskId: 'a' }));
    await store.replace('queued', { ...aTask({ taskId: 'a' }), state: 'completed', outcome });
    damage(path, sql);
    await expect(store.get('a')).rejects.toThrow('what the store has of task a is damaged');
    expect((await store.list('ada', undefined, 10)).tasks).toHaveLength(1);
  });
});
