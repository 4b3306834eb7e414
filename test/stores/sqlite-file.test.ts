import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmod, chown, copyFile, mkdir, mkdtemp, open, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest';
import {
  OptionError,
  SqliteStore,
  StoreUnavailableError,
  type SqliteStoreOptions,
  type Task,
} from 'mcp-taskpool';
import { Connection } from '../../src/stores/sqlite-connection.ts';
import { loadDriver } from '../../src/stores/sqlite-driver.ts';
import { APPLICATION_ID, SCHEMA_VERSION, migrate } from '../../src/stores/sqlite-schema.ts';
import { pathOfStore } from './folder.ts';
import { aTask } from './tasks.ts';

const driver = await loadDriver();
const MIGRATE = fileURLToPath(new URL('../../dist/test/fixtures/store-migrate.js', import.meta.url));
const NOBODY = 65_534;
const isRoot = process.getuid?.() === 0;

async function openStore(options: SqliteStoreOptions): Promise<SqliteStore> {
  const store = await SqliteStore.open(options);
  onTestFinished(() => store.close());
  return store;
}

/** A file with 200 tasks that another process has made; nobody has it open. */
async function closedStore(): Promise<string> {
  const path = await pathOfStore();
  await copyFile(join(folderOfTemplate, 'tasks.db'), path);
  return path;
}

let folderOfTemplate: string;
beforeAll(async () => {
  folderOfTemplate = await mkdtemp(join(tmpdir(), 'mcp-taskpool-'));
  const path = join(folderOfTemplate, 'tasks.db');
  const script =
    "const { SqliteStore } = await import('mcp-taskpool');" +
    `const store = await SqliteStore.open({ path: ${JSON.stringify(path)} });` +
    `const task = ${JSON.stringify(aTask({ taskId: '' }))};` +
    'for (let n = 0; n < 200; n++) await store.create({ ...task, taskId: `t${n}` });' +
    'await store.close();';
  execFileSync(process.execPath, ['--input-type=module', '-e', script]);
});
afterAll(() => rm(folderOfTemplate, { recursive: true }));

function sql(path: string, statements: string): void {
  const connection = new Connection(driver, path, '');
  connection.exec(statements);
  connection.close();
}

async function overwrite(path: string, at: number, length: number): Promise<void> {
  const file = await open(path, 'r+');
  await file.write(Buffer.alloc(length, 'garbage '), 0, length, at);
  await file.close();
}

describe('The file of a SQLite store', () => {
  it('is made with its folder, for its owner alone', async () => {
    const path = join(dirname(await pathOfStore()), 'new', 'folder', 'tasks.db');
    const store = await openStore({ path });
    await store.create(aTask({ taskId: 'a' }));
    const mode = async (of: string) => (await stat(of)).mode & 0o777;
    expect(await Promise.all([dirname(path), path, `${path}-wal`, `${path}-shm`].map(mode))).toEqual([
      0o700, 0o600, 0o600, 0o600,
    ]);
  });

  it('may be there and be empty', async () => {
    const path = await pathOfStore();
    await writeFile(path, '');
    const store = await openStore({ path });
    await store.create(aTask({ taskId: 'a' }));
    expect(await store.size()).toBe(1);
  });

  it.skipIf(process.platform === 'win32').each<[string, (path: string) => Promise<void>]>([
    ['its folder may not be written', (path) => chmod(dirname(path), 0o500)],
    ['it may not be written', (path) => chmod(path, 0o400)],
    ['it may not be read', (path) => chmod(path, 0o200)],
  ])('is refused where %s', async (_, forbid) => {
    const path = await closedStore();
    const folder = dirname(path);
    onTestFinished(() => chmod(folder, 0o700));
    if (isRoot) for (const of of [folder, path]) await chown(of, NOBODY, NOBODY);
    await forbid(path);
    const script =
      `import('mcp-taskpool').then((m) => m.SqliteStore.open({ path: ${JSON.stringify(path)} }))` +
      '.catch((error) => console.log(error.name, error.message))';
    // Nothing is forbidden to root.
    const { stdout } = spawnSync(process.execPath, ['-e', script], {
      encoding: 'utf8',
      ...(isRoot && { uid: NOBODY, gid: NOBODY }),
    });
    expect(stdout).toMatch(/^StoreError .*tasks\.db: .* must be readable and writable/);
  });

  it('that is too large to be checked first takes nothing more once it is found to be damaged', async () => {
    const path = await closedStore();
    sql(
      path,
      `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000)
      INSERT INTO tasks (task_id, owner, state, expires_at, ended_at, record, call)
      SELECT 'n' || i, 'x', 'failed', 9e12, 1, hex(randomblob(2500)), '{}' FROM n`,
    );
    const { size } = await stat(path);
    expect(size).toBeGreaterThan(20e6);
    await overwrite(path, Math.floor(size / 2 / 4096) * 4096, 8 * 4096);
    const log = { info: vi.fn<() => void>(), warn: vi.fn<() => void>(), error: vi.fn<() => void>() };
    const found = new Promise<void>((resolve) => log.error.mockImplementation(resolve));
    const store = await openStore({ path, log });
    await found;
    const refused: unknown = await store.create(aTask({ taskId: 'new' })).catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(StoreUnavailableError);
    expect(String(refused)).toMatch(/is damaged.*tasks\.db/);
    expect(await store.get('t7')).toEqual(aTask({ taskId: 't7' }));
  });

  it('that is large and sound is checked, and goes on being used', async () => {
    const path = await closedStore();
    sql(path, 'INSERT INTO parts VALUES (1, 7, 0, zeroblob(20000000))');
    const log = { info: vi.fn<() => void>(), warn: vi.fn<() => void>(), error: vi.fn<() => void>() };
    const store = await openStore({ path, log });
    await store.create(aTask({ taskId: 'new' }));
    expect(await store.size()).toBe(201);
    await store.close();
    expect(log.error).not.toHaveBeenCalled();
    expect(log.warn).not.toHaveBeenCalled();
  });

  it('of an older schema keeps its tasks, whenever bringing it up to date is cut short', async () => {
    const path = await pathOfStore();
    const rows = 20_000;
    let cutShort = 0;
    for (let round = 0; round < 6; round++) {
      for (const end of ['', '-wal', '-shm']) await rm(path + end, { force: true });
      sql(path, 'PRAGMA journal_mode = WAL');
      const connection = new Connection(driver, path, '');
      migrate(connection, 1);
      connection.exec(
        `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${rows})
        INSERT INTO tasks (task_id, owner, state, expires_at, ended_at, record, call)
        SELECT 't' || i, 'ada', 'cancelled', 9e12, i, '{"outcome":{"type":"cancelled"}}', '{"call":{}}' FROM n`,
      );
      connection.close();
      const child = spawn(process.execPath, [MIGRATE, path], { stdio: ['ignore', 'pipe', 'inherit'] });
      const ended = once(child, 'exit');
      let said = '';
      child.stdout.on('data', (text: Buffer) => (said += text.toString()));
      await once(child.stdout, 'data');
      // From at once to about when it is done.
      setTimeout(() => child.kill('SIGKILL'), round * 8);
      await ended;
      if (!said.includes('end')) cutShort++;
      const store = await SqliteStore.open({ path });
      expect(await store.size()).toBe(rows);
      expect((await store.get('t20000'))?.outcome).toEqual({ type: 'cancelled' });
      await store.create(aTask({ taskId: 'new' }));
      expect(await store.size()).toBe(rows + 1);
      await store.close();
      const after = new Connection(driver, path, '');
      expect(after.value('PRAGMA integrity_check')).toBe('ok');
      expect([after.value('PRAGMA user_version'), after.value('PRAGMA application_id')]).toEqual([
        SCHEMA_VERSION,
        APPLICATION_ID,
      ]);
      after.close();
    }
    expect(cutShort).toBeGreaterThan(0);
  });

  it.each<[string, object]>([
    ['path', { path: '' }],
    ['path', { path: 7 }],
    ['synchronous', { synchronous: 'off' }],
    ['maxStoreMb', { maxStoreMb: 0 }],
    ['maxStoreMb', { maxStoreMb: Number.NaN }],
    ['leaseMs', { leaseMs: -1 }],
  ])('has no %s like %j', async (name, option) => {
    const opened = SqliteStore.open({ path: await pathOfStore(), ...option });
    await expect(opened).rejects.toThrow(OptionError);
    await expect(opened).rejects.toThrow(`${name}: expected`);
  });
});

describe('A SQLite store on a disk that is full', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'mcp-taskpool-'));
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=4m', 'tmpfs', folder]).status === 0;
  if (!mounted) await rm(folder, { recursive: true });
  const unmount = async () => {
    // Its files may be open until the store's statements have been collected as garbage.
    spawnSync('umount', ['--lazy', folder]);
    await rm(folder, { recursive: true });
  };

  it.skipIf(!mounted)(
    `refuses tasks, keeps and shows what it has, and goes on by itself${mounted ? '' : ' (no tmpfs can be mounted here)'}`,
    async () => {
      onTestFinished(unmount);
      const ballast = join(folder, 'ballast');
      await writeFile(ballast, Buffer.alloc(2e6));
      await mkdir(join(folder, 'state'));
      const path = join(folder, 'state', 'tasks.db');
      const store = await SqliteStore.open({ path });
      onTestFinished(() => store.close());
      const text = 'x'.repeat(5000);
      const call = { tool: 'noop', args: { text }, lane: 'cpu' } as const;
      const kept: string[] = [];
      const refused = new Map<string, unknown>();
      const fill = async (round: string) => {
        for (let n = 0; n < 2000 && refused.size === 0; n += 20) {
          const ids = Array.from({ length: 20 }, (_, k) => `${round}-${n + k}`);
          const created = await Promise.allSettled(
            ids.map((taskId) => store.create(aTask({ taskId, call }))),
          );
          for (const [k, result] of created.entries()) {
            if (result.status === 'fulfilled') kept.push(ids[k]!);
            else refused.set(ids[k]!, result.reason);
          }
        }
      };
      await fill('first');
      expect(refused.size).toBeGreaterThan(0);
      expect(kept.length).toBeGreaterThan(50);
      const first = kept[0]!;
      expect(await store.get(first)).toEqual(aTask({ taskId: first, call }));
      for (const [taskId, reason] of refused) {
        expect(reason).toBeInstanceOf(StoreUnavailableError);
        expect(String(reason)).toMatch(/disk is full.*tasks\.db/);
        expect(await store.get(taskId)).toBeUndefined();
      }
      expect(await store.size()).toBe(kept.length);

      const noise = Array.from({ length: 4e6 }, () => Math.random().toString(36)[2]).join('');
      const large: Task = {
        ...aTask({ taskId: first, call }),
        state: 'failed',
        outcome: { type: 'result', result: { noise }, isError: true },
      };
      await expect(store.replace('queued', large)).rejects.toThrow(/disk is full/);
      expect(await store.get(first)).toEqual(aTask({ taskId: first, call }));

      await rm(ballast);
      refused.clear();
      await expect
        .poll(() =>
          store.create(aTask({ taskId: 'poll' })).then(
            () => true,
            () => false,
          ),
        )
        .toBe(true);
      kept.push('poll');
      await store.create(aTask({ taskId: 'after', call }));
      kept.push('after');
      expect(await store.replace('queued', { ...aTask({ taskId: first, call }), state: 'running' })).toBe(
        true,
      );
      await fill('second');
      expect(refused.size).toBeGreaterThan(0);
      // Full again, for good: what expires makes room.
      const expired = await store.purge(1e12);
      expect(expired.length).toBeGreaterThan(0);
      await expect
        .poll(() =>
          store.create(aTask({ taskId: 'last', call })).then(
            () => true,
            () => false,
          ),
        )
        .toBe(true);
      kept.push('last');
      for (const { taskId } of expired) kept.splice(kept.indexOf(taskId), 1);
      await store.close();

      const next = await SqliteStore.open({ path });
      onTestFinished(() => next.close());
      const { tasks } = await next.list('ada', undefined, 5000);
      expect(tasks.map(({ taskId }) => taskId)).toEqual(kept);
      expect(await next.size()).toBe(kept.length);
    },
  );
});
