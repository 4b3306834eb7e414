import { createHash } from 'node:crypto';
import { realpath } from 'node:fs/promises';
import { homedir } from 'node:os';
import path from 'node:path';
import { InvalidArgumentError } from 'commander';
import { StoreError } from '../errors.ts';

/** Where tasks are kept, by the word of `--store`. */
export type StorePlace = { readonly type: 'memory' } | SqlitePlace;

interface SqlitePlace {
  readonly type: 'sqlite';
  /** Absolute. */
  readonly path: string;
}

export function storePlace(value: string): StorePlace {
  if (value === 'memory') return { type: 'memory' };
  return sqlitePlace(value, 'sqlite:PATH or memory');
}

/** The same, of what can be looked at from outside. */
export function sqlitePlace(value: string, wanted = 'sqlite:PATH'): SqlitePlace {
  const [, file] = /^sqlite:(.+)$/s.exec(value) ?? [];
  if (file === undefined || file === ':memory:' || /[/\\]$/.test(file))
    throw new InvalidArgumentError(`Expected ${wanted}.`);
  // Behind the prefix no shell does it.
  const absolute = /^~[/\\]/.test(file) ? path.join(homedir(), file.slice(2)) : path.resolve(file);
  return { type: 'sqlite', path: absolute };
}

/** What the state folder depends on. */
export interface Surroundings {
  readonly platform: NodeJS.Platform;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly home: string;
}

/**
 * The file of a tools folder in the platform's state folder, where `--store` says nothing else.
 * @param tools the folder; another path to the same folder gives the same file
 * @throws {StoreError} when there is no such folder, or no home
 */
export async function defaultStorePath(tools: string): Promise<string> {
  let folder: string;
  try {
    folder = await realpath(tools);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    throw new StoreError(
      code === 'ENOENT'
        ? `${tools}: no such folder: --tools DIR says whose tasks they are, or --store sqlite:PATH where`
        : message,
      { cause: error },
    );
  }
  const { platform, env } = process;
  return storePathOf(folder, { platform, env, home: homedir() });
}

/** @throws {StoreError} when nothing says where the user's files are */
export function storePathOf(folder: string, surroundings: Surroundings): string {
  const paths = pathsOf(surroundings);
  const hash = createHash('sha256').update(folder).digest('hex').slice(0, 10);
  // The name is for people, and must be none that a file cannot have; the hash tells folders apart.
  const [name] = /^.{0,40}/su.exec(paths.basename(folder).replaceAll(/[^\p{L}\p{N}._-]+/gu, '-'))!;
  return paths.join(stateFolder(surroundings), 'mcp-taskpool', `${name}-${hash}.db`);
}

function stateFolder(surroundings: Surroundings): string {
  const { platform, env, home } = surroundings;
  const paths = pathsOf(surroundings);
  const named = platform === 'win32' ? env['LOCALAPPDATA'] : env['XDG_STATE_HOME'];
  // What is not absolute is to be ignored (XDG Base Directory Specification, "Environment variables").
  if (platform !== 'darwin' && named !== undefined && paths.isAbsolute(named)) return named;
  if (!paths.isAbsolute(home))
    throw new StoreError('No home folder is known to keep tasks in: --store sqlite:PATH says where else');
  if (platform === 'darwin') return paths.join(home, 'Library', 'Application Support');
  return platform === 'win32' ? paths.join(home, 'AppData', 'Local') : paths.join(home, '.local', 'state');
}

function pathsOf({ platform }: Surroundings): path.PlatformPath {
  return platform === 'win32' ? path.win32 : path.posix;
}
