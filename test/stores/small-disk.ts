import { spawnSync } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished } from 'vitest';

/** A disk of 4 MB, of this test's own: the driver lets go of files only when it has collected its statements as garbage. */
export async function smallDisk(): Promise<{ disk: string; path: string; filler: string }> {
  const disk = await mkdtemp(join(tmpdir(), 'mcp-taskpool-'));
  const isMounted = mount(disk);
  onTestFinished(async () => {
    if (isMounted) spawnSync('umount', ['--lazy', disk]);
    await rm(disk, { recursive: true });
  });
  expect(isMounted).toBe(true);
  return { disk, path: join(disk, 'store', 'tasks.db'), filler: join(disk, 'filler') };
}

function mount(folder: string): boolean {
  return spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=4m', 'tmpfs', folder]).status === 0;
}

/** Where it can be made: for root, or in a container of one's own. */
export const canMount = await (async () => {
  const folder = await mkdtemp(join(tmpdir(), 'mcp-taskpool-'));
  const isMounted = mount(folder);
  if (isMounted) spawnSync('umount', [folder]);
  await rm(folder, { recursive: true });
  return isMounted;
})();
