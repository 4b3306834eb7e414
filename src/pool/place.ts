import { existsSync, realpathSync } from 'node:fs';
import { dirname, join, resolve, sep } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Where tools run: in threads of a child process, or of this one. */
export type Isolation = 'process' | 'thread';

/** Where tool code runs, and what it may see there. */
export interface Place {
  readonly isolation: Isolation;
  /** The whole environment of the code. */
  readonly env: Readonly<Record<string, string>>;
  /** What it may read, with everything else refused; undefined: anything. In a process only. */
  readonly lockdown: Lockdown | undefined;
}

export interface Lockdown {
  readonly tools: string;
  /** More folders and files. */
  readonly read: readonly string[];
}

const [MAJOR = 0, MINOR = 0] = process.versions.node.split('.').map(Number);
const PERMISSION = MAJOR > 22 || (MAJOR === 22 && MINOR >= 13) ? '--permission' : '--experimental-permission';

/** What a program needs that uses a shell's conventions, and no secret. */
const ALWAYS = ['PATH', 'HOME', 'LANG', 'TZ', 'NODE_ENV'];

/** The variables that tools see: a few that are no secrets, and those that are named. */
export function environment(names: Iterable<string>): Record<string, string> {
  const env: Record<string, string> = {};
  for (const name of [...ALWAYS, ...names]) {
    const value = process.env[name];
    if (value !== undefined) env[name] = value;
  }
  return env;
}

/** Node's options that hold a process to a lockdown (Node.js, "Permissions"). */
export function lockdownOptions({ tools, read }: Lockdown): string[] {
  const own = resolve(dirname(fileURLToPath(import.meta.url)), '..', '..');
  const wanted = [own, tools, ...read, ...librariesOf(own), ...librariesOf(resolve(tools))].flatMap(
    (path) => {
      const absolute = resolve(path);
      // A link is followed before its target is checked.
      return existsSync(absolute) ? [absolute, realpathSync(absolute)] : [absolute];
    },
  );
  // Node 20 loses a folder of which a part is named too.
  const outermost = wanted.filter(
    (path) => !wanted.some((other) => path !== other && path.startsWith(join(other, sep))),
  );
  // Threads need leave of their own, and none of the rest: children, native add-ons, writing.
  return [
    PERMISSION,
    '--allow-worker',
    '--no-warnings',
    ...[...new Set(outermost)].map((path) => `--allow-fs-read=${path}`),
  ];
}

/** The folders in which modules below this one look for packages. */
function librariesOf(folder: string): string[] {
  const found: string[] = [];
  for (let at = folder; ; at = dirname(at)) {
    for (const name of ['node_modules', 'package.json']) {
      if (existsSync(join(at, name))) found.push(join(at, name));
    }
    if (dirname(at) === at) return found;
  }
}
