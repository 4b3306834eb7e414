import { randomBytes } from 'node:crypto';
import { closeSync, openSync, writeSync } from 'node:fs';
import { copyFile, mkdir, rm, stat, truncate } from 'node:fs/promises';
import { dirname } from 'node:path';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { SqliteStore, StoreError, StoreUnavailableError, type Task } from 'mcp-taskpool';
import { Connection } from '../../src/stores/sqlite-connection.ts';
import { loadDriver } from '../../src/stores/sqlite-driver.ts';
import { bytesOf, leftBehind } from './left-behind.ts';
import { canMount, smallDisk } from './small-disk.ts';
import { aTask } from './tasks.ts';

/** Takes what room there is, but for some bytes. */
async function fill(filler: string, but = 0): Promise<void> {
  const fd = openSync(filler, 'w');
  for (const size of [65_536, 4096, 512, 1]) {
    try {
      for (;;) writeSync(fd, Buffer.alloc(size));
    } catch {
      // There is no room for that much.
    }
  }
  closeSync(fd);
  if (but > 0) await truncate(filler, (await stat(filler)).size - but);
}

async function openStore(path: string): Promise<SqliteStore> {
  const store = await SqliteStore.open({ path });
  onTestFinished(() => store.close());
  return store;
}

async function refusal(write: Promise<unknown>): Promise<string> {
  const refused: unknown = await write.catch((error: unknown) => error);
  expect(refused).toBeInstanceOf(StoreUnavailableError);
  return String(refused);
}

/** Text that is not compressed to much less. */
const text = (length: number) => randomBytes(length).toString('base64').slice(0, length);
const withText = (taskId: string, length: number): Task =>
  aTask({ taskId, call: { tool: 'noop', args: { text: text(length) }, lane: 'cpu' } });
const running = (taskId: string): Task => ({ ...aTask({ taskId }), state: 'running' });
const completed = (taskId: string, length: number): Task => ({
  ...running(taskId),
  state: 'completed',
  outcome: { type: 'result', result: { text: text(length) }, isError: false },
});

describe.skipIf(!canMount)(`A disk that is full${canMount ? '' : ' (no tmpfs can be mounted here)'}`, () => {
  it('keeps a store from being made there, and is no longer in the way once it is not', async () => {
    const { path, filler } = await smallDisk();
    await fill(filler);
    const refused: unknown = await SqliteStore.open({ path }).catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(StoreError);
    expect(String(refused)).toMatch(/tasks\.db: .*disk.* full/);
    await rm(filler);
    const store = await openStore(path);
    await store.create(aTask({ taskId: 'a' }));
    expect(await store.size()).toBe(1);
  });

  it('is named where a store cannot be opened because of it, and leaves that as it is', async () => {
    const { path, filler } = await smallDisk();
    const left = await leftBehind(20);
    await mkdir(dirname(path));
    for (const end of ['', '-wal']) await copyFile(left + end, path + end);
    await fill(filler);
    const before = await bytesOf(path);
    const refused: unknown = await SqliteStore.open({ path }).catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(StoreError);
    expect(String(refused)).toMatch(/tasks\.db: the disk is full: make room/);
    expect(await bytesOf(path)).toEqual(before);
    await rm(filler);
    const store = await openStore(path);
    expect(await store.size()).toBe(20);
  });

  it('keeps nothing of what is refused, shows what there is, and is forgotten as soon as there is room', async () => {
    const { path, filler } = await smallDisk();
    const store = await openStore(path);
    const ids = Array.from({ length: 40 }, (_, n) => `t${n}`);
    await Promise.all(ids.map((taskId) => store.create(aTask({ taskId }))));
    await Promise.all(ids.map((taskId) => store.replace('queued', running(taskId))));
    await fill(filler);
    const refusals = await Promise.all(ids.map((id) => refusal(store.create(withText(`new ${id}`, 30_000)))));
    for (const words of refusals) expect(words).toMatch(/the store's disk is full .*tasks\.db/);
    const ends = ids.map((taskId) => completed(taskId, 30_000));
    const replace = () => Promise.allSettled(ends.map((end) => store.replace('running', end)));
    const replaced = await replace();
    expect(replaced.some(({ status }) => status === 'rejected')).toBe(true);
    for (const [n, result] of replaced.entries()) {
      const isRefused = result.status === 'rejected';
      const answer: unknown = isRefused ? result.reason : result.value;
      expect(answer === true || answer instanceof StoreUnavailableError).toBe(true);
      expect(await store.get(ids[n]!)).toEqual(isRefused ? running(ids[n]!) : ends[n]);
    }
    expect((await store.list('ada', undefined, 100)).tasks.map(({ taskId }) => taskId)).toEqual(ids);
    expect(await store.size()).toBe(40);

    await rm(filler);
    for (const [n, result] of (await replace()).entries()) {
      expect(result).toEqual({ status: 'fulfilled', value: replaced[n]!.status === 'rejected' });
      expect(await store.get(ids[n]!)).toEqual(ends[n]);
    }
    // Whether there is room for more is looked at now and then.
    const isCreated = () =>
      store.create(aTask({ taskId: 'c' })).then(
        () => true,
        () => false,
      );
    await expect.poll(isCreated).toBe(true);
    expect(await store.size()).toBe(41);
  });

  it('is not filled by what it could not take of a large result', async () => {
    const { path } = await smallDisk();
    const store = await openStore(path);
    for (const taskId of ['a', 'b']) {
      await store.create(aTask({ taskId }));
      await store.replace('queued', running(taskId));
    }
    const large = completed('a', 6_000_000);
    for (let attempt = 0; attempt < 3; attempt++) {
      expect(await refusal(store.replace('running', large))).toContain('disk is full');
      expect(await store.get('a')).toEqual(running('a'));
    }
    const small = completed('b', 200_000);
    expect(await store.replace('running', small)).toBe(true);
    expect(await store.get('b')).toEqual(small);
    const ended: Task = { ...running('a'), state: 'cancelled', outcome: { type: 'cancelled' } };
    expect(await store.replace('running', ended)).toBe(true);
  });

  it('that the log alone has filled has room again once the log is in the file', async () => {
    const { path, filler } = await smallDisk();
    const store = await openStore(path);
    await store.create(aTask({ taskId: 'a' }));
    await store.replace('queued', running('a'));
    // As long as somebody reads what was there at first, the log grows.
    const reader = new Connection(await loadDriver(), path, '', { readOnly: true });
    reader.exec('BEGIN');
    reader.get('SELECT count(*) FROM tasks');
    await fill(filler, 1_200_000);
    let words: string | undefined;
    for (let step = 0; words === undefined && step < 1000; step++) {
      const change: Task = { ...running('a'), statusMessage: text(30_000) };
      words = await store.replace('running', change).then(
        () => undefined,
        (error: unknown) => String(error),
      );
    }
    expect(words).toContain('disk is full');
    expect((await stat(`${path}-wal`)).size).toBeGreaterThan(1_000_000);
    expect((await store.get('a'))?.state).toBe('running');
    reader.exec('COMMIT');
    reader.close();
    expect(await store.replace('running', completed('a', 1000))).toBe(true);
  });

  it('does not let what the clock was set by be forgotten', async () => {
    const { path, filler } = await smallDisk();
    const store = await openStore(path);
    await store.create(aTask({ taskId: 'a' }));
    await store.replace('queued', running('a'));
    await fill(filler);
    const real = Date.now.bind(Date);
    const set = vi.spyOn(Date, 'now').mockImplementation(() => real() + 3_600_000);
    onTestFinished(() => set.mockRestore());
    for (let step = 0; step < 3; step++) {
      const change: Task = { ...running('a'), statusMessage: text(200_000) };
      expect(await refusal(store.replace('running', change))).toContain('disk is full');
    }
    await rm(filler);
    expect(await store.replace('running', completed('a', 10))).toBe(true);
    const before = store.clock.now();
    await store.close();
    const next = await openStore(path);
    expect(next.clock.now() - before).toBeLessThan(1_800_000);
  });
});
