import { readdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { CatalogError } from '../errors.ts';
import type { Lane, Retry } from '../tasks/task.ts';
import type { TaskSupport, ToolOptions } from '../tool.ts';
import type { Place } from './place.ts';
import { startReader } from './reader.ts';

/** What the server knows of a tool. Its code stays in the threads. */
export interface ToolEntry {
  readonly path: string;
  /** The module's URL. */
  readonly module: string;
  readonly lane: Lane;
  readonly task: TaskSupport;
  /** Whether it has something to do before a task exists. */
  readonly prepares: boolean;
  readonly maxMemoryMb: number | undefined;
  /** Names of variables of the environment. */
  readonly env: readonly string[];
  readonly timeoutMs: number | undefined;
  readonly ttlMs: number | undefined;
  readonly pollIntervalMs: number | undefined;
  readonly idempotent: boolean;
  /** What decides by the error stays in the threads. */
  readonly retry: Retry | undefined;
  /** As `tools/list` shows it. */
  readonly definition: {
    readonly name: string;
    readonly title?: string;
    readonly description: string;
    readonly inputSchema: { type: 'object'; [key: string]: unknown };
    readonly outputSchema?: { type: 'object'; [key: string]: unknown };
    readonly annotations?: NonNullable<ToolOptions['annotations']>;
  };
}

/** The tools by their names. */
export type Catalog = ReadonlyMap<string, ToolEntry>;

export type CatalogMessage =
  | { readonly type: 'loading'; readonly path: string }
  | { readonly type: 'tool'; readonly entry: ToolEntry }
  | { readonly type: 'problem'; readonly path: string; readonly reason: string }
  /** Nobody caught it. */
  | { readonly type: 'fault'; readonly reason: string }
  | { readonly type: 'done' };

export interface CatalogOptions {
  /** How long one module may take to load. */
  readonly loadTimeoutMs: number;
  readonly place: Place;
  /** Names that the server gives to tools of its own. */
  readonly reserved?: readonly string[];
  /** Given the problem of each module that is left out. Without it, a problem stops the reading. */
  readonly leaveOut?: ((problem: string) => void) | undefined;
}

/**
 * Reads a folder of tool modules, where they are to run: a module that throws, spins or exits when it is
 * imported costs only itself.
 * @throws {CatalogError} with a line for each module that is at fault, unless it may be left out
 */
export async function readCatalog(folder: string, options: CatalogOptions): Promise<Catalog> {
  const { reserved = [] } = options;
  const problems: string[] = [];
  const catalog = new Map<string, ToolEntry>();
  const report = (problem: string) => {
    if (options.leaveOut === undefined) problems.push(problem);
    else options.leaveOut(problem);
  };
  let paths = await modulePaths(folder);
  while (paths.length > 0) {
    paths = await readSome(paths, options, (message) => {
      if (message.type === 'problem') return report(`${message.path}: ${message.reason}`);
      const { entry } = message;
      const { name } = entry.definition;
      const other = catalog.get(name);
      if (reserved.includes(name))
        report(`${entry.path}: "${name}" is a task tool's name; give it another one`);
      else if (other === undefined) catalog.set(name, entry);
      else report(`${entry.path}: repeats the name "${name}" of ${other.path}`);
    });
  }
  if (problems.length > 0) throw new CatalogError(problems);
  return catalog;
}

async function modulePaths(folder: string): Promise<string[]> {
  let names: string[];
  try {
    const entries = await readdir(folder, { withFileTypes: true });
    names = entries.filter((entry) => !entry.isDirectory()).map((entry) => entry.name);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const reasons: Record<string, string> = {
      ENOENT: 'there is no such folder',
      ENOTDIR: 'is not a folder',
      EACCES: 'may not be read',
    };
    throw new CatalogError([`${resolve(folder)}: ${reasons[code ?? ''] ?? String(error)}`]);
  }
  const paths = names
    .filter((name) => /\.(js|mjs|ts)$/.test(name) && !name.endsWith('.d.ts') && !/^[_.]/.test(name))
    .toSorted()
    .map((name) => join(resolve(folder), name));
  if (paths.length === 0)
    throw new CatalogError([`${resolve(folder)}: holds no tool module (.js, .mjs or .ts)`]);
  return paths;
}

/** Reads modules until all are read or one ends the reader, and gives back those that are left. */
function readSome(
  paths: readonly string[],
  { loadTimeoutMs, place }: CatalogOptions,
  found: (message: CatalogMessage & { type: 'tool' | 'problem' }) => void,
): Promise<string[]> {
  return new Promise((settle) => {
    let loading: string | undefined;
    let timer: NodeJS.Timeout | undefined;
    let settled = false;
    const stop = (reason?: string) => {
      if (settled) return;
      settled = true;
      clearTimeout(timer);
      const path = loading ?? paths[0]!;
      if (reason !== undefined) found({ type: 'problem', path, reason });
      const left = reason === undefined ? [] : paths.slice(paths.indexOf(path) + 1);
      void end().then(() => settle(left));
    };
    const end = startReader(paths, place, {
      message: (message) => {
        if (settled) return;
        switch (message.type) {
          case 'loading':
            loading = message.path;
            clearTimeout(timer);
            timer = setTimeout(() => stop(`did not load within ${loadTimeoutMs / 1000} s`), loadTimeoutMs);
            return;
          case 'fault':
            stop(message.reason);
            return;
          case 'done':
            stop();
            return;
          default:
            found(message);
        }
      },
      ended: stop,
    });
  });
}
