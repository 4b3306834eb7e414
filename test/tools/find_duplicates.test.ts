import { createHash } from 'node:crypto';
import { rmSync, writeFileSync } from 'node:fs';
import { chmod, link, mkdir, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import findDuplicates from '../../tools/find_duplicates.ts';
import { abortAtOnce, recordingContext } from './context.ts';
import { temporaryRoot, withoutPrivileges } from './temporary_root.ts';

const root = temporaryRoot();

async function find(args: { path?: string; minBytes?: number; maxGroups?: number } = {}) {
  const input = findDuplicates.input.parse({ path: root.path, ...args });
  const result = await findDuplicates.run(input, recordingContext().context);
  return findDuplicates.output!.parse(result);
}

test('groups files of the same content, the most wasteful first, with paths within the folder', async () => {
  await root.write('a.txt', 'small');
  await root.write('deep/er/b.txt', 'small');
  await root.write('c.bin', 'x'.repeat(1000));
  await root.write('deep/d.bin', 'x'.repeat(1000));
  await root.write('deep/e.bin', 'x'.repeat(1000));
  await root.write('same size', 'SMALL');
  expect(await find()).toEqual({
    root: root.path,
    files: 6,
    bytes: 3015,
    groups: [
      {
        sha256: createHash('sha256').update('x'.repeat(1000)).digest('hex'),
        size: 1000,
        copies: 3,
        paths: ['c.bin', 'deep/d.bin', 'deep/e.bin'],
      },
      {
        sha256: createHash('sha256').update('small').digest('hex'),
        size: 5,
        copies: 2,
        paths: ['a.txt', 'deep/er/b.txt'],
      },
    ],
    groupCount: 2,
    wastedBytes: 2005,
    skipped: [],
    skippedCount: 0,
  });
});

test('tells files apart that differ only beyond the first chunk', async () => {
  const large = Buffer.alloc(700_000, 'x');
  await root.write('1', large);
  await root.write('2', large);
  large[large.length - 1] = 0;
  await root.write('3', large);
  const { groups, wastedBytes } = await find();
  expect(groups.map(({ paths }) => paths)).toEqual([['1', '2']]);
  expect(wastedBytes).toBe(700_000);
});

test('an empty folder has no duplicates', async () => {
  expect(await find()).toMatchObject({ files: 0, bytes: 0, groups: [], groupCount: 0, wastedBytes: 0 });
});

test('empty files count only when asked for', async () => {
  await root.write('1', '');
  await root.write('2', '');
  expect(await find()).toMatchObject({ files: 0, groupCount: 0 });
  expect(await find({ minBytes: 0 })).toMatchObject({ files: 2, groupCount: 1, wastedBytes: 0 });
});

test('files below minBytes are left out', async () => {
  for (const name of ['1', '2']) await root.write(name, '1234');
  for (const name of ['3', '4']) await root.write(name, '12345');
  const { files, groups } = await find({ minBytes: 5 });
  expect(files).toBe(2);
  expect(groups.map(({ paths }) => paths)).toEqual([['3', '4']]);
});

test('returns at most maxGroups groups and still counts them all', async () => {
  for (const content of ['1', '22', '333'])
    for (const copy of ['a', 'b']) await root.write(copy + content, content);
  const { groups, groupCount, wastedBytes } = await find({ maxGroups: 1 });
  expect(groups.map(({ size }) => size)).toEqual([3]);
  expect(groupCount).toBe(3);
  expect(wastedBytes).toBe(6);
});

test('lists at most 100 paths of a group and still counts them all', async () => {
  for (let i = 0; i < 120; i++) await root.write(`${i}`, 'x');
  const { groups, wastedBytes } = await find();
  expect(groups[0]!.copies).toBe(120);
  expect(groups[0]!.paths).toHaveLength(100);
  expect(wastedBytes).toBe(119);
});

test('hard links to one file are one file', async () => {
  const path = await root.write('a', 'content');
  await link(path, join(root.path, 'b'));
  expect(await find()).toMatchObject({ files: 1, groupCount: 0 });
});

test('symbolic links are not followed, to files or to folders, not even in a circle', async () => {
  const path = await root.write('folder/a', 'content');
  await symlink(path, join(root.path, 'b'));
  await symlink(join(root.path, 'folder'), join(root.path, 'again'));
  await symlink(root.path, join(root.path, 'folder/up'));
  await symlink('nowhere', join(root.path, 'broken'));
  expect(await find()).toMatchObject({ files: 1, groupCount: 0, skippedCount: 0 });
});

test('what may not be read is named in skipped, and the rest is searched', async (t) => {
  await root.write('a', 'content');
  await root.write('b', 'content');
  await chmod(await root.write('c', 'content'), 0);
  await mkdir(join(root.path, 'closed'), { mode: 0 });
  await withoutPrivileges(t, async () => {
    const { groupCount, skipped } = await find();
    expect(groupCount).toBe(1);
    expect(skipped).toEqual([
      { path: 'closed', reason: 'may not be read: permission denied' },
      { path: 'c', reason: 'may not be read: permission denied' },
    ]);
  });
});

test('the given folder being unreadable is an error that says so', async (t) => {
  await mkdir(join(root.path, 'closed'), { mode: 0 });
  await withoutPrivileges(t, async () => {
    await expect(find({ path: 'closed' })).rejects.toThrow('closed may not be read: permission denied');
  });
});

test('a file that changes while it is searched is named in skipped, and the rest is searched', async () => {
  for (const name of ['a', 'b', 'c', 'd']) await root.write(name, 'content');
  const { context } = recordingContext(({ total }) => {
    if (total !== undefined) return;
    // All is listed in one go, before the first is hashed.
    writeFileSync(join(root.path, 'a'), 'grown since');
    rmSync(join(root.path, 'b'), { force: true });
  });
  const result = await findDuplicates.run(findDuplicates.input.parse({ path: root.path }), context);
  expect(result).toMatchObject({
    groups: [{ paths: ['c', 'd'] }],
    skipped: [
      { path: 'b', reason: 'does not exist' },
      { path: 'a', reason: 'changed while it was read' },
    ],
  });
});

test('a missing folder, a file and an empty path are errors that say what and where', async () => {
  await root.write('file', 'x');
  await expect(find({ path: 'missing' })).rejects.toThrow('missing does not exist');
  await expect(find({ path: 'file' })).rejects.toThrow('file is not a folder');
  await expect(find({ path: 'file/below' })).rejects.toThrow('file/below does not exist: a part of the path');
  expect(findDuplicates.input.safeParse({ path: '' }).success).toBe(false);
});

test.each(['/', '..', '/etc/passwd/../..', '/nowhere/at/all'])(
  'refuses %s, outside the root',
  async (path) => {
    await expect(find({ path })).rejects.toThrow(
      `${path} is outside the folder that tools may read, ${root.path}`,
    );
  },
);

test('refuses a link within the root that leads out of it', async () => {
  await symlink(tmpdir(), join(root.path, 'out'));
  await expect(find({ path: 'out' })).rejects.toThrow('out is outside the folder that tools may read');
});

test('a folder beside the root whose name begins like it is outside', async () => {
  await expect(find({ path: `${root.path}-beside` })).rejects.toThrow('is outside');
});

test('a folder within the root whose name begins with two dots is inside', async () => {
  await root.write('..a/file', 'x');
  expect(await find({ path: '..a' })).toMatchObject({ files: 1 });
});

test('progress rises from files found to files hashed', async () => {
  for (let i = 0; i < 5; i++) await root.write(`${i}`, Buffer.alloc(600_000));
  const { context, reports } = recordingContext();
  await findDuplicates.run(findDuplicates.input.parse({ path: root.path }), context);
  reports.reduce((before, report) => {
    expect(report.done).toBeGreaterThanOrEqual(before.done);
    return report;
  });
  expect(reports[0]).toEqual({ done: 1, total: undefined, message: 'found 1 files' });
  expect(reports.at(-1)).toMatchObject({ done: 10, total: 10 });
});

test('stops in the middle of the work when it is cancelled, while finding and while hashing', async () => {
  for (let i = 0; i < 5; i++) await root.write(`${i}`, Buffer.alloc(600_000));
  const input = findDuplicates.input.parse({ path: root.path });
  const finding = recordingContext(abortAtOnce);
  await expect(findDuplicates.run(input, finding.context)).rejects.toThrow('cancelled');
  expect(finding.reports).toHaveLength(1);
  const hashing = recordingContext((report, controller) => {
    if (report.total !== undefined) abortAtOnce(report, controller);
  });
  await expect(findDuplicates.run(input, hashing.context)).rejects.toThrow('cancelled');
  expect(hashing.reports).toHaveLength(6);
});
