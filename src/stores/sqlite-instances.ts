import { readFileSync, readlinkSync } from 'node:fs';
import { hostname } from 'node:os';
import type { Connection } from './sqlite-connection.ts';
import type { SqliteRow } from './sqlite-driver.ts';

/** Within which a process id names one process at a time. */
const BOOT = [hostname(), read('/proc/sys/kernel/random/boot_id')];
const HOST = [...BOOT, link('/proc/self/ns/pid')].join(' ');

/** Another server on the file, as it was last seen. */
interface Seen {
  beat: number;
  /** For how long, in milliseconds, its beat has been the same. */
  age: number;
}

export interface Instance {
  readonly id: number;
  readonly beat: number;
}

/** Tells which of the servers on a file are gone. */
export class Instances {
  readonly #leaseMs: number;
  readonly #seen = new Map<number, Seen>();
  #lookedAt = performance.now();

  /** @param leaseMs for how long a server may leave no trace before it counts as gone */
  constructor(leaseMs: number) {
    this.#leaseMs = leaseMs;
  }

  /** Looks at the others' beats. One that has not changed for long enough, as seen by looks that were never far apart, is gone. */
  look(connection: Connection): void {
    const now = performance.now();
    // A look after a long pause, of a process that was frozen itself, counts for little.
    const step = Math.min(now - this.#lookedAt, this.#leaseMs / 3);
    this.#lookedAt = now;
    const ids = new Set<number>();
    for (const row of connection.all('SELECT id, beat FROM instances')) {
      const id = Number(row['id']);
      const beat = Number(row['beat']);
      ids.add(id);
      const seen = this.#seen.get(id);
      if (seen === undefined || seen.beat !== beat) this.#seen.set(id, { beat, age: 0 });
      else seen.age += step;
    }
    for (const id of [...this.#seen.keys()]) if (!ids.has(id)) this.#seen.delete(id);
  }

  /** Those that are gone: their process has ended, or they have been silent for too long. */
  gone(connection: Connection, own: number): Instance[] {
    return connection
      .all('SELECT id, host, pid, process_start, beat FROM instances WHERE id <> ?', own)
      .filter((row) => this.#isSilent(row) || hasEnded(row))
      .map((row) => ({ id: Number(row['id']), beat: Number(row['beat']) }));
  }

  #isSilent(row: SqliteRow): boolean {
    const seen = this.#seen.get(Number(row['id']));
    return seen !== undefined && seen.beat === row['beat'] && seen.age >= this.#leaseMs;
  }
}

/** @returns its id */
export function register(connection: Connection): number {
  const row = connection.get(
    'INSERT INTO instances (host, pid, process_start, beat) VALUES (?, ?, ?, 0) RETURNING id',
    HOST,
    process.pid,
    stat(process.pid)?.start ?? '',
  );
  return Number(row!['id']);
}

/** Whether its tasks are its own: once it was taken for dead they are not, though it may not know it yet. */
export function isRegistered(connection: Connection, id: number): boolean {
  return connection.get('SELECT 1 FROM instances WHERE id = ?', id) !== undefined;
}

/** Whose tasks anybody may take over: the ids of instances that are not registered any more, and NULL. */
export function abandoned(connection: Connection): (number | null)[] {
  const found: (number | null)[] = [];
  const open = 'FROM tasks WHERE ended_at IS NULL';
  if (connection.get(`SELECT 1 ${open} AND instance IS NULL LIMIT 1`) !== undefined) found.push(null);
  // From one instance to the next by the index, however many tasks each has.
  const next = `SELECT min(instance) AS id ${open} AND instance > ?`;
  for (let id = connection.value(next, 0); id !== null; id = connection.value(next, id)) {
    if (!isRegistered(connection, Number(id))) found.push(Number(id));
  }
  return found;
}

function hasEnded(row: SqliteRow): boolean {
  if (row['host'] !== HOST) return isOfEarlierBoot(String(row['host']));
  const pid = Number(row['pid']);
  try {
    process.kill(pid, 0);
  } catch (error) {
    // Otherwise it is somebody else's process.
    return (error as NodeJS.ErrnoException).code === 'ESRCH';
  }
  const found = stat(pid);
  if (found === undefined || row['process_start'] === '') return false;
  return found.start !== row['process_start'] || 'ZX'.includes(found.state);
}

/** Whether a server ran on this machine before it was started anew: nothing is left of it. */
function isOfEarlierBoot(host: string): boolean {
  const [name, boot] = host.split(' ');
  return name === BOOT[0] && boot !== BOOT[1] && boot !== '' && BOOT[1] !== '';
}

/** The state of a process and when it started, in ticks since the boot; on Linux. */
function stat(pid: number): { state: string; start: string } | undefined {
  const text = read(`/proc/${pid}/stat`);
  // Its name, in parentheses, may hold anything.
  const [state, ...fields] = text.slice(text.lastIndexOf(')') + 2).split(' ');
  const start = fields[18];
  return state === undefined || start === undefined ? undefined : { state, start };
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch {
    return '';
  }
}

function link(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return '';
  }
}
