import { copyFile, open, readFile } from 'node:fs/promises';
import { SqliteStore } from 'mcp-taskpool';
import { pathOfStore } from './folder.ts';
import { aTask } from './tasks.ts';

/** The path of a store with tasks `t0`, `t1`, … as a server leaves it that is killed: much is in its log alone. */
export async function leftBehind(count: number): Promise<string> {
  const [path, copy] = [await pathOfStore(), await pathOfStore()];
  const store = await SqliteStore.open({ path });
  await Promise.all(Array.from({ length: count }, (_, n) => store.create(aTask({ taskId: `t${n}` }))));
  for (const end of ['', '-wal']) await copyFile(path + end, copy + end);
  await store.close();
  return copy;
}

/** What there is of a store; what is in `-shm` SQLite makes anew. */
export async function bytesOf(path: string): Promise<Record<string, string>> {
  const read = async (end: string) => {
    const bytes = await readFile(path + end).catch(() => Buffer.of());
    return [end, bytes.toString('latin1')] as const;
  };
  return Object.fromEntries(await Promise.all(['', '-wal', '-journal'].map(read)));
}

export async function overwrite(path: string, at: number, bytes: Uint8Array): Promise<void> {
  const file = await open(path, 'r+');
  await file.write(bytes, 0, bytes.length, at);
  await file.close();
}

export function garbage(length: number): Uint8Array {
  return Buffer.alloc(length, 'garbage ');
}
