import { spawnSync } from 'node:child_process';
import { closeSync, existsSync, mkdtempSync, openSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TaskClient, TaskError } from 'mcp-taskpool/client';
import { afterAll, describe, expect, it } from 'vitest';
import { Connection } from '../../src/stores/sqlite-connection.ts';
import { loadDriver } from '../../src/stores/sqlite-driver.ts';
import { until } from '../wire/fixtures.ts';
import { Site, type Instance } from './instance.ts';

const REFUSED = -32000;

const DISK = mkdtempSync(join(tmpdir(), 'mcp-taskpool-disk-'));
/** Why there is no small disk; undefined where there is. */
const noDisk = problemOf('mount', ['-t', 'tmpfs', '-o', 'size=4m', 'tmpfs', DISK]);
afterAll(() => {
  if (noDisk === undefined) spawnSync('umount', [DISK]);
  rmSync(DISK, { recursive: true, force: true });
});

/** Why files cannot be protected from those who have them open; undefined where they can. */
const noProtection = (() => {
  const path = join(mkdtempSync(join(tmpdir(), 'mcp-taskpool-protected-')), 'file');
  writeFileSync(path, '');
  const fd = openSync(path, 'a');
  try {
    const problem = protect([path]);
    if (problem !== undefined) return problem;
    writeSync(fd, 'x');
    return 'who has it open can write it all the same';
  } catch {
    return undefined;
  } finally {
    closeSync(fd);
    unprotect([path]);
    rmSync(path);
  }
})();

function problemOf(command: string, args: readonly string[]): string | undefined {
  const { status, error, stderr } = spawnSync(command, args, { encoding: 'utf8' });
  return status === 0 ? undefined : `${command}: ${error?.message ?? stderr.trim()}`;
}

function protect(paths: readonly string[]): string | undefined {
  return problemOf('chattr', ['+i', ...paths]);
}

function unprotect(paths: readonly string[]): void {
  spawnSync('chattr', ['-i', ...paths]);
}

/** Takes what is left of the small disk. */
function fill(): string {
  const path = join(DISK, 'filler');
  const fd = openSync(path, 'w');
  try {
    for (const size of [65_536, 4096, 1])
      try {
        for (;;) writeSync(fd, Buffer.alloc(size));
      } catch {
        // No such piece is left.
      }
  } finally {
    closeSync(fd);
  }
  return path;
}

/** Why a task is not created; undefined where it is. */
async function refusal(client: TaskClient): Promise<TaskError | undefined> {
  const task = client.startTask('quick');
  try {
    await task.created();
    return undefined;
  } catch (error) {
    expect(task.taskId).toBeUndefined();
    return error as TaskError;
  }
}

/**
 * What holds while the store cannot be written, and after; gives what a task that ran all along has left.
 * @param close makes it so, and `open` undoes it
 */
async function survives(
  site: Site,
  server: Instance,
  close: () => void,
  open: () => void,
): Promise<string[]> {
  const client = await server.client();
  const before = client.startTask('trace', { trace: site.path('lines'), line: 'kept before' });
  await before;
  const args = { trace: site.path('trace'), gate: site.path('gate'), mark: 'ended meanwhile' };
  const running = client.startTask('wait', args);
  const runningId = (await running.created())!;
  await until(() => site.lines('trace').length === 1);
  const known = await client.listTasks();

  close();
  // Room that was there already may take a few.
  let why: TaskError | undefined;
  await until(async () => (why = await refusal(client)) !== undefined);
  expect(why).toMatchObject({ code: REFUSED });
  expect((await client.task(before.taskId!).result()).data).toEqual({ line: 'kept before' });
  expect((await client.listTasks()).length).toBeGreaterThanOrEqual(known.length);
  writeFileSync(args.gate, '');
  expect((await running).data).toEqual({ attempt: 1, mark: 'ended meanwhile' });
  expect((await client.task(runningId).status()).status).toBe('completed');
  expect(await refusal(client)).toMatchObject({ code: REFUSED });

  open();
  await until(async () => (await refusal(client)) === undefined);
  expect((await client.task(runningId).result()).data).toEqual({ attempt: 1, mark: 'ended meanwhile' });
  // Another server knows what there is in the file alone.
  const other = await site.start().client();
  await expect
    .poll(async () => (await other.task(runningId).status()).status, { timeout: 10_000 })
    .toBe('completed');
  await server.kill();
  expect((await other.task(runningId).result()).data).toEqual({ attempt: 1, mark: 'ended meanwhile' });
  expect((await other.startTask('quick')).data).toBe('quick');
  return site.lines('trace');
}

describe(`A disk that is full${noDisk === undefined ? '' : ` (skipped: ${noDisk})`}`, () => {
  it.skipIf(noDisk !== undefined)(
    'takes no new task and loses none, and all goes on when it has room',
    async () => {
      const site = await Site.open(join(DISK, 'tasks.db'));
      let filler = '';
      const left = await survives(
        site,
        site.start(),
        () => (filler = fill()),
        () => rmSync(filler),
      );
      expect(left).toEqual(['start 1', 'end 1']);
    },
  );
});

describe('A file that another program has locked', () => {
  it('takes no new task and loses none, and all goes on when it is free', { timeout: 90_000 }, async () => {
    const site = await Site.open();
    const server = site.start();
    const driver = await loadDriver();
    let lock: Connection | undefined;
    const left = await survives(
      site,
      server,
      () => {
        lock = new Connection(driver, site.file, '');
        lock.exec('BEGIN IMMEDIATE');
      },
      () => lock!.close(),
    );
    expect(left).toEqual(['start 1', 'end 1']);
  });
});

describe(`A file that becomes read-only${noProtection === undefined ? '' : ` (skipped: ${noProtection})`}`, () => {
  it.skipIf(noProtection !== undefined)(
    'takes no new task and loses none, and all goes on when it can be written',
    async () => {
      const site = await Site.open();
      const files = () =>
        ['', '-wal', '-shm'].map((end) => `${site.file}${end}`).filter((path) => existsSync(path));
      try {
        const left = await survives(
          site,
          site.start(),
          () => expect(protect(files())).toBeUndefined(),
          () => unprotect(files()),
        );
        expect(left).toEqual(['start 1', 'end 1']);
      } finally {
        unprotect(files());
      }
    },
  );
});
