import { copyFile, mkdir, rm, stat, symlink, truncate, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { SqliteStore, StoreError } from 'mcp-taskpool';
import { Connection } from '../../src/stores/sqlite-connection.ts';
import { loadDriver } from '../../src/stores/sqlite-driver.ts';
import { pathOfStore } from './folder.ts';
import { bytesOf, garbage, leftBehind, overwrite } from './left-behind.ts';

const driver = await loadDriver();
const PAGE = 4096;

/** Runs statements and leaves the files as they are then, as a program does that is killed. */
async function left(path: string, sql: string): Promise<void> {
  const copy = await pathOfStore();
  for (const end of ['', '-wal']) await copyFile(path + end, copy + end).catch(() => {});
  const connection = new Connection(driver, copy, '');
  connection.exec(sql);
  for (const end of ['', '-wal', '-journal']) await copyFile(copy + end, path + end).catch(() => {});
  connection.close();
}

async function refusal(path: string): Promise<string> {
  const refused: unknown = await SqliteStore.open({ path }).then(
    (store) => store.close(),
    (error: unknown) => error,
  );
  expect(refused).toBeInstanceOf(StoreError);
  return (refused as StoreError).message;
}

/** A store without a log, of some 30 pages. */
async function emptied(path: string): Promise<void> {
  const connection = new Connection(driver, path, '');
  connection.get('PRAGMA wal_checkpoint(TRUNCATE)');
  connection.close();
  await rm(`${path}-wal`, { force: true });
}

type Spoil = (path: string) => Promise<void>;
const truncated =
  (size: (before: number) => number): Spoil =>
  async (path) => {
    await emptied(path);
    await truncate(path, size((await stat(path)).size));
  };
const overwritten =
  (at: (size: number) => number, length: number): Spoil =>
  async (path) => {
    await emptied(path);
    await overwrite(path, at((await stat(path)).size), garbage(length));
  };

const holding =
  (content: string | Uint8Array): Spoil =>
  async (path) => {
    await emptied(path);
    await writeFile(path, content);
  };

describe('A file that is no sound store of this version', () => {
  it.each<[string, RegExp, Spoil]>([
    ['cut off in its first page', /is damaged|no SQLite database/, truncated(() => 1000)],
    ['cut off within its header', /is damaged|no SQLite database/, truncated(() => 60)],
    ['cut off after its first page', /is damaged/, truncated(() => PAGE)],
    ['cut in half', /is damaged/, truncated((size) => Math.floor(size / 2 / PAGE) * PAGE)],
    ['cut off within a page', /is damaged/, truncated((size) => Math.floor(size / 2) + 77)],
    ['without its last page', /is damaged/, truncated((size) => size - PAGE)],
    ['without most of its last page', /is damaged/, truncated((size) => size - PAGE + 10)],
    ['with garbage for its header', /no SQLite database/, overwritten(() => 0, 100)],
    ['with garbage after its header', /is damaged/, overwritten(() => 100, 1000)],
    ['with garbage in its middle', /is damaged/, overwritten((size) => Math.floor(size / 2), 2 * PAGE)],
    ['with garbage from end to end', /no SQLite database/, holding(garbage(50_000))],
    ['of zeros', /no SQLite database/, holding(Buffer.alloc(8 * PAGE))],
    ['of text', /no SQLite database/, holding('hello')],
    [
      'of a newer version',
      /newer mcp-taskpool \(schema 99;/,
      (path) => left(path, 'PRAGMA user_version = 99'),
    ],
    ['of another program', /another program/, (path) => left(path, 'PRAGMA application_id = 7')],
    [
      'of another program that does not say so',
      /another program/,
      (path) => left(path, 'PRAGMA application_id = 0'),
    ],
    [
      'of another program that was killed while it wrote',
      /another program/,
      async (path) => {
        await rm(path);
        await rm(`${path}-wal`);
        await left(
          path,
          'CREATE TABLE notes (text); PRAGMA journal_mode = WAL; INSERT INTO notes VALUES (1)',
        );
      },
    ],
  ])('%s is refused, with its path and what to do, and left as it is', async (_, reason, spoil) => {
    const path = await leftBehind(150);
    await spoil(path);
    const before = await bytesOf(path);
    for (let attempt = 0; attempt < 2; attempt++) {
      const message = await refusal(path);
      expect(message).toMatch(reason);
      expect(message.startsWith(`${path}: `)).toBe(true);
      expect(message).toMatch(/name another file|[Rr]estore it/);
      expect(await bytesOf(path)).toEqual(before);
    }
  });
});

describe('A path that is no file', () => {
  it('is refused where it is a folder', async () => {
    const path = await pathOfStore();
    await mkdir(path);
    expect(await refusal(path)).toMatch(/tasks\.db: is no file: name a file/);
  });

  it('is refused where its folder is a file', async () => {
    const path = await pathOfStore();
    await writeFile(path, 'hello');
    expect(await refusal(join(path, 'tasks.db'))).toContain(join(path, 'tasks.db'));
    expect(await bytesOf(path)).toMatchObject({ '': 'hello' });
  });

  it('is refused where it is a link to nowhere', async () => {
    const path = await pathOfStore();
    await symlink(join(dirname(path), 'nowhere', 'tasks.db'), path);
    expect(await refusal(path)).toContain(path);
  });
});
