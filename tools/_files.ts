import { createHash } from 'node:crypto';
import * as fs from 'node:fs';
import { join } from 'node:path';
import { reason } from './_allowed_root.ts';

/** Hashing this much takes some 0.2 ms: how long a cancel can go unseen. */
const buffer = Buffer.allocUnsafe(256 * 1024);

export interface File {
  path: string;
  size: number;
}

/** Every regular file within a folder, each inode once. */
export function* walk(
  root: string,
  given: string,
  skip: (path: string, why: string) => void,
): Generator<File> {
  const links = new Set<string>();
  const folders = [root];
  for (let folder = folders.pop(); folder !== undefined; folder = folders.pop()) {
    let entries: fs.Dirent[];
    try {
      entries = fs.readdirSync(folder, { withFileTypes: true });
    } catch (error) {
      if (folder === root) throw new Error(`${given} ${reason(error)}`, { cause: error });
      skip(folder, reason(error));
      continue;
    }
    // In order of name, so that two runs give the same answer.
    for (const entry of entries.toSorted((a, b) => (a.name < b.name ? -1 : 1))) {
      const path = join(folder, entry.name);
      try {
        // lstat also where the entry tells its type: some file systems leave that open.
        const stat = fs.lstatSync(path, { bigint: true });
        if (stat.isDirectory()) folders.push(path);
        if (!stat.isFile()) continue;
        const inode = `${stat.dev}:${stat.ino}`;
        if (stat.nlink > 1n && links.has(inode)) continue;
        if (stat.nlink > 1n) links.add(inode);
        yield { path, size: Number(stat.size) };
      } catch (error) {
        skip(path, reason(error));
      }
    }
  }
}

/** A file was not what it was when it was listed. */
export class ChangedError extends Error {}

/** The hash of a file's content, reporting every number of bytes that it has read. */
export function sha256(file: File, signal: AbortSignal, report: (bytes: number) => void): string {
  // Not through a link or a pipe that took the file's place since it was listed: a pipe would block for ever.
  // (Windows lacks these two flags; undefined counts as 0 here.)
  const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = fs.constants;
  const fd = fs.openSync(file.path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  try {
    const hash = createHash('sha256');
    let read = 0;
    for (let n = 1; n > 0 && read <= file.size; read += n) {
      signal.throwIfAborted();
      n = fs.readSync(fd, buffer);
      hash.update(buffer.subarray(0, n));
      report(n);
    }
    if (read !== file.size) throw new ChangedError('changed while it was read');
    return hash.digest('hex');
  } finally {
    fs.closeSync(fd);
  }
}
