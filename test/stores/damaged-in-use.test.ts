import { spawnSync } from 'node:child_process';
import { copyFile, rename, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { SqliteStore, StoreError, StoreUnavailableError } from 'mcp-taskpool';
import { pathOfStore } from './folder.ts';
import { bytesOf, garbage, leftBehind, overwrite } from './left-behind.ts';
import { aTask } from './tasks.ts';

async function openStore(path: string): Promise<SqliteStore> {
  const store = await SqliteStore.open({ path });
  onTestFinished(() => store.close());
  store.shared.watch({ changed: () => {}, gone: () => {}, lost: () => {} });
  return store;
}

/** A store whose file has its tasks, and of which its process has read little so far. */
async function unreadStore(): Promise<{ path: string; store: SqliteStore }> {
  const path = await leftBehind(400);
  const first = await SqliteStore.open({ path });
  await first.close();
  return { path, store: await openStore(path) };
}

async function refusal(write: Promise<unknown>): Promise<string> {
  const refused: unknown = await write.catch((error: unknown) => error);
  expect(refused).toBeInstanceOf(StoreUnavailableError);
  return String(refused);
}

const ENDS = ['', '-wal', '-shm'];

describe.skipIf(process.platform === 'win32')('A store whose file', () => {
  it('is removed while it is open takes no task any more, and reads what it has', async () => {
    const path = await pathOfStore();
    const store = await openStore(path);
    await store.create(aTask({ taskId: 'a' }));
    for (const end of ENDS) await rm(path + end);
    for (const taskId of ['b', 'c']) {
      expect(await refusal(store.create(aTask({ taskId })))).toMatch(
        /moved, removed or replaced: .*tasks\.db/,
      );
    }
    const running = { ...aTask({ taskId: 'a' }), state: 'running' } as const;
    expect(await refusal(store.replace('queued', running))).toContain('removed');
    expect(await store.get('a')).toEqual(aTask({ taskId: 'a' }));
    expect(await store.size()).toBe(1);
    await store.close();
    expect(await bytesOf(path)).toEqual({ '': '', '-wal': '', '-journal': '' });
  });

  it('is moved away with its folder goes on once that is back', async () => {
    const path = await pathOfStore();
    const store = await openStore(path);
    await store.create(aTask({ taskId: 'a' }));
    await rename(dirname(path), `${dirname(path)}-away`);
    expect(await refusal(store.create(aTask({ taskId: 'b' })))).toContain('put it back');
    await rename(`${dirname(path)}-away`, dirname(path));
    await store.create(aTask({ taskId: 'c' }));
    await store.close();
    const next = await openStore(path);
    expect((await next.shared.claim()).map(({ taskId }) => taskId)).toEqual(['a', 'c']);
  });

  it('is replaced by a copy of it changes neither', async () => {
    const path = await leftBehind(10);
    const store = await openStore(path);
    await store.create(aTask({ taskId: 'a' }));
    const copy = await pathOfStore();
    for (const end of ENDS) await copyFile(path + end, copy + end);
    for (const end of ENDS) await rename(copy + end, path + end);
    const before = await bytesOf(path);
    expect(await refusal(store.create(aTask({ taskId: 'b' })))).toContain('replaced');
    await store.close();
    expect(await bytesOf(path)).toEqual(before);
    const next = await openStore(path);
    expect(await next.size()).toBe(11);
  });

  it.each<[string, (path: string) => Promise<void>]>([
    ['overwritten', async (path) => overwrite(path, 4096, garbage((await stat(path)).size - 4096))],
    ['overwritten from its first byte', async (path) => writeFile(path, garbage((await stat(path)).size))],
    ['truncated', (path) => truncate(path, 8192)],
  ])('is %s while it is open says so, or goes on, and is refused at the next start', async (_, spoil) => {
    const { path, store } = await unreadStore();
    await spoil(path);
    const reads = [
      () => store.get('t7'),
      () => store.list('ada', undefined, 1000),
      () => store.create(aTask({ taskId: 'new' })),
      () => store.purge(1e9),
      () => store.shared.claim(),
    ];
    const errors: unknown[] = [];
    for (const read of reads) await read().catch((error: unknown) => errors.push(error));
    expect(errors.length).toBeGreaterThan(0);
    for (const error of errors) expect(error).toBeInstanceOf(StoreUnavailableError);
    expect(errors.join('\n')).toMatch(/malformed|damaged|not a database/);
    await store.close();
    await expect(SqliteStore.open({ path })).rejects.toBeInstanceOf(StoreError);
  });

  const chattr = (...args: string[]) => spawnSync('chattr', args).status === 0;

  it('can be written no more, for a while, reads meanwhile and goes on afterwards', async ({ skip }) => {
    const path = await pathOfStore();
    const store = await openStore(path);
    await store.create(aTask({ taskId: 'a' }));
    const files = [path, `${path}-wal`];
    if (!chattr('+i', ...files)) skip('files cannot be made immutable here');
    try {
      const first = await store.create(aTask({ taskId: 'b' })).catch((error: unknown) => error);
      if (first === undefined) skip('whoever has an immutable file open may write it here');
      for (const taskId of ['b', 'c', 'd']) {
        expect(await refusal(store.create(aTask({ taskId })))).toMatch(/cannot be written|can only be read/);
        expect(await store.get('a')).toEqual(aTask({ taskId: 'a' }));
      }
      // Not only can it not be written: it cannot be opened anew either.
      await rename(dirname(path), `${dirname(path)}-away`);
      expect(await refusal(store.create(aTask({ taskId: 'e' })))).toContain('moved');
      expect(await store.size()).toBe(1);
      await rename(`${dirname(path)}-away`, dirname(path));
    } finally {
      chattr('-i', ...files);
    }
    await store.create(aTask({ taskId: 'f' }));
    expect(await store.size()).toBe(2);
  });
});
