import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

export const THREADS = availableParallelism();
/** The tools of the repository, and those made for the benchmarks. */
export const TOOLS = fileURLToPath(new URL('../tools/', import.meta.url));
export const BENCH_TOOLS = fileURLToPath(new URL('./tools/', import.meta.url));
/** The command line of the package. */
export const CLI = fileURLToPath(new URL('../src/cli/main.js', import.meta.url));
/** Where the results go: beside the sources, which are not in `dist`. */
export const RESULTS = fileURLToPath(new URL('../../bench/results/', import.meta.url));

/** The URL of a tool's module. */
export function moduleOf(folder: string, tool: string): string {
  return pathToFileURL(join(folder, `${tool}.js`)).href;
}
