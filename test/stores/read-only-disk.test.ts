import { spawnSync } from 'node:child_process';
import { copyFile, mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { SqliteStore, StoreError } from 'mcp-taskpool';
import { bytesOf, leftBehind } from './left-behind.ts';
import { canMount, smallDisk } from './small-disk.ts';

const remount = (disk: string, mode: 'ro' | 'rw') =>
  expect(spawnSync('mount', ['-o', `remount,${mode}`, disk]).status).toBe(0);

async function refusal(path: string): Promise<string> {
  const refused: unknown = await SqliteStore.open({ path }).catch((error: unknown) => error);
  expect(refused).toBeInstanceOf(StoreError);
  return String(refused);
}

describe.skipIf(!canMount)(
  `A disk that can only be read${canMount ? '' : ' (no tmpfs can be mounted here)'}`,
  () => {
    it('is named where a store is there, which is left as it is and opens once it can be written', async () => {
      const { disk, path } = await smallDisk();
      const left = await leftBehind(20);
      await mkdir(dirname(path));
      for (const end of ['', '-wal']) await copyFile(left + end, path + end);
      const before = await bytesOf(path);
      remount(disk, 'ro');
      expect(await refusal(path)).toMatch(/tasks\.db: .* must be readable and writable/);
      expect(await bytesOf(path)).toEqual(before);
      remount(disk, 'rw');
      const store = await SqliteStore.open({ path });
      expect(await store.size()).toBe(20);
      await store.close();
    });

    it('is named where a store is to be made', async () => {
      const { disk, path } = await smallDisk();
      remount(disk, 'ro');
      for (const wanted of [path, join(disk, 'tasks.db')]) {
        const words = await refusal(wanted);
        expect(words).toContain(`${wanted}: `);
        expect(words).toContain('must be readable and writable');
      }
    });
  },
);
