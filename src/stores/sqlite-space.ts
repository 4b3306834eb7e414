import { statfsSync } from 'node:fs';
import type { Log } from '../tasks/log.ts';
import type { Purged } from '../tasks/store.ts';
import type { Connection } from './sqlite-connection.ts';
import type { SqliteRow } from './sqlite-driver.ts';
import { diskFull } from './sqlite-errors.ts';
import { abandoned } from './sqlite-instances.ts';
import { dropParts } from './sqlite-large.ts';
import { textOf } from './sqlite-rows.ts';
import type { Writer } from './sqlite-writer.ts';

/** What one transaction removes, and one call of `purge`. */
const MOST_ROWS = 64;
const MOST_MS = 3;
const MOST_PURGED = 500;
/** How soon it is seen that the file is too large, or that there is room to give back. */
const LOOK_MS = 200;
const WARN_MS = 60_000;
/** To how much of the limit the file is brought once it is over it. */
const ENOUGH = 0.95;
/** Free pages are kept for what comes next; above this many, and this share of the file, they are given back. */
const FREE_PAGES = 1024;
const FREE_SHARE = 0.25;
const GIVEN_BACK = 64;

const MEGABYTE = 1024 * 1024;
/** What is left on the disk for other than new tasks and large results, and how often that is looked at. */
const RESERVED = MEGABYTE;
const DISK_MS = 50;
const DISK_BYTES = 16 * 1024;

/** Makes room in the file: what has expired goes, and where it grows too large what ended first. In small steps. */
export class Space {
  readonly #writer: Writer;
  readonly #connection: Connection;
  readonly #log: Log;
  readonly #pageSize: number;
  readonly #mostPages: number;
  readonly #maxStoreMb: number;
  #timer: NodeJS.Timeout | undefined;
  /** The file was found too large, and is not small enough yet. */
  #isShrinking = false;
  /** Since the last warning. */
  #evicted = 0;
  #warnedAt = -Infinity;
  #diskSeenAt = -Infinity;
  /** Bytes that were let in since. */
  #sinceSeen = 0;
  /** What there was then, in bytes, beyond what is reserved. */
  #room = Infinity;
  #isClosed = false;

  constructor(writer: Writer, connection: Connection, options: { maxStoreMb: number; log: Log }) {
    this.#writer = writer;
    this.#connection = connection;
    this.#log = options.log;
    this.#maxStoreMb = options.maxStoreMb;
    this.#pageSize = Number(connection.value('PRAGMA page_size'));
    this.#mostPages = (options.maxStoreMb * MEGABYTE) / this.#pageSize;
  }

  /** Something was written. */
  look(): void {
    if (this.#isClosed) return;
    this.#timer ??= setTimeout(() => void this.#makeRoom(), LOOK_MS);
  }

  /**
   * Refuses a new task, or a large result, that would leave little room on the disk: what there is, is for the ends of
   * tasks, and to remove some. A file that fills its disk to the last could not even be made smaller.
   * @param bytes about how large it is
   * @throws {StoreUnavailableError} where the disk is full but for that
   */
  checkDisk(bytes: number): void {
    const now = performance.now();
    this.#sinceSeen += bytes;
    if (this.#sinceSeen >= DISK_BYTES || now - this.#diskSeenAt >= DISK_MS) {
      this.#diskSeenAt = now;
      this.#sinceSeen = bytes;
      this.#room = this.#roomOnDisk() - RESERVED;
    }
    if (this.#sinceSeen > this.#room) throw diskFull(this.#connection.path);
  }

  #roomOnDisk(): number {
    try {
      const { bavail, bsize } = statfsSync(this.#connection.path);
      return bavail * bsize + pages(this.#connection).free * this.#pageSize;
    } catch {
      // What is wrong is told by who writes.
      return Infinity;
    }
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
  }

  /** Removes some of what has expired, of what has ended or is `me`'s or nobody's, and gives it in the order of its expiry. */
  async purge(now: number, me: number | undefined): Promise<readonly Purged[]> {
    const purged: Purged[] = [];
    for (;;) {
      const { removed, isDone } = await this.#writer.write((connection) =>
        remove(connection, expired(connection, now, me)),
      );
      purged.push(...removed);
      if (!isDone && purged.length < MOST_PURGED) continue;
      if (purged.length > 0) this.look();
      return purged;
    }
  }

  nextExpiry(connection: Connection, me: number | undefined): number | undefined {
    const first = 'SELECT min(expires_at) FROM tasks WHERE instance IS ?';
    const times = instances(connection, me)
      .map((instance) => connection.value(first, instance))
      .filter((time) => time !== null)
      .map(Number);
    return times.length === 0 ? undefined : Math.min(...times);
  }

  async #makeRoom(): Promise<void> {
    try {
      while (!this.#isClosed && (await this.#evict()));
      if (!(await this.#giveBack())) return;
      while (!this.#isClosed && (await this.#giveBack()));
      // Only once it is out of the log the file is smaller.
      if (!this.#isClosed) this.#connection.get('PRAGMA wal_checkpoint(PASSIVE)');
    } catch (error) {
      if (!this.#isClosed) this.#log.warn({ err: error }, 'the store could not make room');
    } finally {
      this.#timer = undefined;
    }
  }

  /** Removes some of what ended first where the file is too large; false where it is small enough, or nothing has ended. */
  async #evict(): Promise<boolean> {
    this.#isShrinking = this.#isTooLarge(this.#connection);
    if (!this.#isShrinking) return false;
    const { removed, isDone } = await this.#writer.write((connection) => {
      const rows = connection.all(ENDED_FIRST, MOST_ROWS);
      return remove(connection, rows, () => !this.#isTooLarge(connection));
    });
    this.#evicted += removed.length;
    if (this.#evicted > 0 && performance.now() - this.#warnedAt >= WARN_MS) this.#warn();
    return !isDone;
  }

  #isTooLarge(connection: Connection): boolean {
    return pages(connection).used > this.#mostPages * (this.#isShrinking ? ENOUGH : 1);
  }

  #warn(): void {
    const [removed, maxStoreMb, { path }] = [this.#evicted, this.#maxStoreMb, this.#connection];
    this.#warnedAt = performance.now();
    this.#evicted = 0;
    this.#log.warn(
      { removed, maxStoreMb, path },
      `the store has reached maxStoreMb (${maxStoreMb}): the tasks that ended first leave before they expire`,
    );
  }

  async #giveBack(): Promise<boolean> {
    const { free, used } = pages(this.#connection);
    if (free <= FREE_PAGES || free <= (free + used) * FREE_SHARE) return false;
    await this.#writer.write((connection) => connection.exec(`PRAGMA incremental_vacuum(${GIVEN_BACK})`));
    return true;
  }
}

const ENDED_FIRST =
  'SELECT sequence, task_id, owner FROM tasks WHERE ended_at IS NOT NULL ORDER BY ended_at LIMIT ?';

/** Whose expired tasks may be removed. */
function instances(connection: Connection, me: number | undefined): (number | null)[] {
  const others = abandoned(connection).filter((id) => id !== null);
  return [null, ...(me === undefined ? [] : [me]), ...others];
}

function expired(connection: Connection, now: number, me: number | undefined): SqliteRow[] {
  const first =
    'SELECT sequence, task_id, owner, expires_at FROM tasks WHERE instance IS ? AND expires_at <= ? ORDER BY expires_at LIMIT ?';
  return instances(connection, me)
    .flatMap((instance) => connection.all(first, instance, now, MOST_ROWS))
    .sort((a, b) => Number(a['expires_at']) - Number(b['expires_at']))
    .slice(0, MOST_ROWS);
}

/**
 * Removes rows, or the first of them, with what is kept beside them.
 * @param isEnough is asked before each
 * @returns `isDone`: there were none
 */
export function remove(
  connection: Connection,
  rows: readonly SqliteRow[],
  isEnough: () => boolean = () => false,
): { removed: Purged[]; isDone: boolean } {
  const latest = performance.now() + MOST_MS;
  const removed: Purged[] = [];
  for (const row of rows) {
    if (isEnough()) break;
    const sequence = row['sequence']!;
    while (dropParts(connection, sequence)) if (performance.now() > latest) return { removed, isDone: false };
    connection.run('DELETE FROM tasks WHERE sequence = ?', sequence);
    removed.push({ taskId: textOf(row['task_id']), owner: textOf(row['owner']) });
    if (performance.now() > latest) break;
  }
  return { removed, isDone: rows.length === 0 };
}

function pages(connection: Connection): { used: number; free: number } {
  const free = Number(connection.value('PRAGMA freelist_count'));
  return { used: Number(connection.value('PRAGMA page_count')) - free, free };
}
