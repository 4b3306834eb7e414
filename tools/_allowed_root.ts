import { realpath } from 'node:fs/promises';
import { isAbsolute, relative, resolve, sep } from 'node:path';

/**
 * The real path of what a caller named, if it lies within the folder that tools may read:
 * `MCP_TASKPOOL_ROOT`, or else the folder that the server was started in. A relative path starts there.
 */
export async function allowedPath(path: string): Promise<string> {
  const root = resolve(process.env['MCP_TASKPOOL_ROOT'] || process.cwd());
  const realRoot = await realpath(root).catch((error: unknown) => {
    throw new Error(`the folder that tools may read (MCP_TASKPOOL_ROOT), ${root}, ${reason(error)}`);
  });
  const wanted = resolve(root, path);
  const outside = `${path} is outside the folder that tools may read, ${root} (MCP_TASKPOOL_ROOT sets it)`;
  // Links are followed before the check, so that a link within the root cannot lead out of it.
  const real = await realpath(wanted).catch((error: unknown) => {
    // Nor may the answer tell what exists out there.
    throw new Error(
      isWithin(root, wanted) || isWithin(realRoot, wanted) ? `${path} ${reason(error)}` : outside,
    );
  });
  if (!isWithin(realRoot, real)) throw new Error(outside);
  return real;
}

/** A file system error as the end of a sentence that begins with the path. */
export function reason(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  switch (code) {
    case 'ENOENT':
      return 'does not exist';
    case 'EACCES':
    case 'EPERM':
      return 'may not be read: permission denied';
    case 'ENOTDIR':
      return 'does not exist: a part of the path before the last is not a folder';
    case 'ELOOP':
      return 'is a symbolic link that leads back to itself, or became one';
    case undefined:
    default:
      return `cannot be read: ${message}`;
  }
}

function isWithin(folder: string, path: string): boolean {
  const way = relative(folder, path);
  return way !== '..' && !way.startsWith(`..${sep}`) && !isAbsolute(way);
}
