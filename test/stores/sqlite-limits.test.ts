import { stat } from 'node:fs/promises';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { SqliteStore, type Outcome, type SqliteStoreOptions } from 'mcp-taskpool';
import { pathOfStore } from './folder.ts';
import { aTask } from './tasks.ts';

async function openStore(options: SqliteStoreOptions): Promise<SqliteStore> {
  const store = await SqliteStore.open(options);
  onTestFinished(() => store.close());
  return store;
}

const log = () => ({
  info: vi.fn<() => void>(),
  warn: vi.fn<(fields: object) => void>(),
  error: vi.fn<() => void>(),
});

/** Creates a task that has ended at `endedAt` with a text, or other result. */
async function end(store: SqliteStore, taskId: string, endedAt: number, text: string): Promise<void> {
  const outcome: Outcome = { type: 'result', result: { text }, isError: false };
  await store.create(aTask({ taskId }));
  await store.replace('queued', { ...aTask({ taskId }), state: 'completed', endedAt, outcome });
}

/** Text that cannot be compressed to nothing. */
const noise = (length: number) => Array.from({ length }, () => Math.random().toString(36)[2]).join('');

describe('A SQLite store that reaches its limit', () => {
  it('lets those leave that ended first, keeps what has not ended, and says so', async () => {
    const said = log();
    const store = await openStore({ path: await pathOfStore(), maxStoreMb: 2, log: said });
    await store.create(
      aTask({ taskId: 'open', call: { tool: 'noop', args: { text: noise(10_000) }, lane: 'cpu' } }),
    );
    const text = 'x'.repeat(10_000);
    await end(store, 'ended last', 1e6, text);
    for (let n = 0; n < 400; n++) await end(store, `t${n}`, 1000 + n, text);
    await expect.poll(() => said.warn.mock.calls.length).toBe(1);
    expect(said.warn.mock.calls[0]?.[0]).toMatchObject({ maxStoreMb: 2 });
    const limit = 2 * 1024 * 1024;
    await expect.poll(async () => (await store.size()) * text.length).toBeLessThan(limit);
    const { tasks } = await store.list('ada', undefined, 1000);
    const kept = tasks.map(({ taskId }) => taskId);
    expect(kept.length).toBeGreaterThan(100);
    const newest = Array.from({ length: kept.length - 2 }, (_, k) => `t${402 - kept.length + k}`);
    expect(kept).toEqual(['open', 'ended last', ...newest]);
    expect(await store.get('t0')).toBeUndefined();
  });

  it('lets a large result leave whole', async () => {
    const store = await openStore({ path: await pathOfStore(), maxStoreMb: 3, log: log() });
    const large = noise(3_000_000);
    await end(store, 'a', 1000, large);
    await end(store, 'b', 2000, large);
    await expect.poll(() => store.get('a')).toBeUndefined();
    await expect.poll(() => store.size()).toBe(1);
    expect((await store.get('b'))?.outcome).toEqual({
      type: 'result',
      result: { text: large },
      isError: false,
    });
  });
});

describe('A SQLite store', () => {
  it('removes many expired tasks some at a time, and gives their room back', async () => {
    const path = await pathOfStore();
    const store = await openStore({ path });
    const call = { tool: 'noop', args: { text: 'x'.repeat(4000) }, lane: 'cpu' } as const;
    const count = 4000;
    await Promise.all(
      Array.from({ length: count }, (_, n) => store.create(aTask({ taskId: `t${n}`, call }))),
    );
    await store.create(aTask({ taskId: 'kept', createdAt: 1e9 }));
    const before = (await stat(path)).size;
    expect(before).toBeGreaterThan(count * 4000);
    const purged: string[] = [];
    for (let some = await store.purge(1e6); some.length > 0; some = await store.purge(1e6)) {
      expect(some.length).toBeLessThan(1000);
      purged.push(...some.map(({ taskId }) => taskId));
    }
    expect(purged).toEqual(Array.from({ length: count }, (_, n) => `t${n}`));
    expect(await store.size()).toBe(1);
    await expect.poll(async () => (await stat(path)).size, { timeout: 20_000 }).toBeLessThan(before / 2);
    expect(await store.get('kept')).toEqual(aTask({ taskId: 'kept', createdAt: 1e9 }));
  });

  it('removes a large result with its task', async () => {
    const store = await openStore({ path: await pathOfStore() });
    await end(store, 'a', 1000, noise(3_000_000));
    expect(await store.purge(1e6)).toEqual([{ taskId: 'a', owner: 'ada' }]);
    expect(await store.get('a')).toBeUndefined();
    expect(await store.size()).toBe(0);
  });

  it('makes a page of any size without reading results', async () => {
    const store = await openStore({ path: await pathOfStore() });
    await Promise.all(Array.from({ length: 300 }, (_, n) => end(store, `t${n}`, n, 'x'.repeat(1000))));
    const { tasks, nextCursor } = await store.list('ada', undefined, 299);
    expect(tasks).toHaveLength(299);
    expect(tasks[0]?.outcome).toEqual({ type: 'result', result: {}, isError: false });
    expect((await store.list('ada', nextCursor, 299)).tasks).toHaveLength(1);
    expect((await store.list('ada', undefined, 300)).nextCursor).toBeUndefined();
  });
});
