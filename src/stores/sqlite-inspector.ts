import { existsSync, statSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { StoreError } from '../errors.ts';
import type { Letter } from '../tasks/store.ts';
import { ended, type Task, type TaskState } from '../tasks/task.ts';
import type { Connection } from './sqlite-connection.ts';
import { loadDriver, type SqliteRow, type SqliteValue } from './sqlite-driver.ts';
import { Instances } from './sqlite-instances.ts';
import { whole } from './sqlite-large.ts';
import { LONGEST_LOCK_MS } from './sqlite-lock.ts';
import { openFile } from './sqlite-open.ts';
import { Reader } from './sqlite-reader.ts';
import { COLUMNS, endedAt, key, readRow, recordOf } from './sqlite-rows.ts';
import { rollBack } from './sqlite-schema.ts';
import { remove } from './sqlite-space.ts';

/** As a server has it where it is told nothing else. */
const LEASE_MS = 30_000;
/** A file of one byte is empty to SQLite, too. */
const EMPTY = 1;
/** The id of no server. */
const NONE = 0;
/** Between two looks at a task that another process is to end. */
const LOOK_MS = 50;
/** What one transaction of a longer work takes at most, and how long servers then have the file to themselves. */
const SLICE_ROWS = 200;
const SLICE_PAGES = 200;
const PAUSE_MS = 5;

export interface KeptTask {
  readonly task: Task;
  /** Which server it is left to, where it has not ended; undefined where that is the next one. */
  readonly server: { readonly pid: number; readonly gone: boolean } | undefined;
}

export interface TaskFilter {
  readonly states?: readonly TaskState[] | undefined;
  readonly owner?: string | undefined;
  readonly limit: number;
}

/**
 * The file of a {@link SqliteStore} as people look into it, be there servers on it or not. It is none itself: it takes
 * no tasks over, and runs none.
 */
export class SqliteInspector {
  readonly path: string;
  readonly #connection: Connection;
  readonly #reader: Reader;
  readonly #instances = new Instances(LEASE_MS);

  private constructor(connection: Connection) {
    this.#connection = connection;
    this.#reader = new Reader(connection);
    this.path = connection.path;
  }

  /**
   * @param path of a file that is there: none is made
   * @throws {StoreError} when it is not, or cannot be used; see {@link SqliteStore.open}
   */
  static async open(path: string): Promise<SqliteInspector> {
    if (!existsSync(path) || statSync(path).size <= EMPTY)
      throw new StoreError(`${path}: no such file: no server has kept a task there`);
    const { connection } = await openFile(await loadDriver(), path, 'full');
    // There is nobody else to answer meanwhile, as a server has.
    connection.exec(`PRAGMA busy_timeout = ${LONGEST_LOCK_MS}`);
    return new SqliteInspector(connection);
  }

  close(): void {
    this.#connection.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  /** The newest tasks first, without what their tools were given and gave. */
  list({ states, owner, limit }: TaskFilter): KeptTask[] {
    const conditions = ['expires_at > ?'];
    const values: SqliteValue[] = [this.#now()];
    if (states !== undefined) {
      conditions.push(`state IN (${states.map(() => '?').join()})`);
      values.push(...states);
    }
    if (owner !== undefined) {
      conditions.push('owner = ?');
      values.push(key(owner));
    }
    const where = conditions.join(' AND ');
    const newest = `SELECT ${COLUMNS}, instance FROM tasks WHERE ${where} ORDER BY sequence DESC LIMIT ?`;
    return this.#connection.all(newest, ...values, limit).map((row) => {
      return { task: readRow(row).task, server: this.#serverOf(row) };
    });
  }

  /** All of a task; undefined where there is none, or it has expired. */
  async get(taskId: string): Promise<KeptTask | undefined> {
    const row = this.#find(taskId);
    if (row === undefined) return undefined;
    const server = this.#serverOf(row);
    const task = await whole(row, this.#reader);
    return task && { task, server };
  }

  /**
   * Leaves word for the server that has the task, and waits until it is cancelled; or cancels it itself where that
   * server has gone.
   * @returns undefined where there is no such task, or it has expired
   * @throws {StoreError} when it has ended otherwise, or that server has not cancelled it within `timeoutMs`
   */
  async cancel(taskId: string, { timeoutMs }: { timeoutMs: number }): Promise<KeptTask | undefined> {
    const until = performance.now() + timeoutMs;
    for (let asked = false; ; await sleep(LOOK_MS)) {
      const row = this.#find(taskId);
      if (row === undefined) return undefined;
      const { state } = readRow(row).task;
      if (state === 'cancelled' && asked) return this.get(taskId);
      if (row['ended_at'] !== null) throw new StoreError(`Task ${taskId} has already ended: it is ${state}`);
      this.#instances.look(this.#connection);
      const server = this.#serverOf(row);
      if (server === undefined || server.gone) {
        if (this.#end(taskId, row['instance']!)) return this.get(taskId);
      } else if (!asked) this.#ask(row);
      else if (performance.now() > until) {
        const seconds = timeoutMs / 1000;
        throw new StoreError(
          `The server, process ${server.pid}, has not cancelled it within ${seconds} s; it still may`,
        );
      }
      asked = true;
    }
  }

  /** How many tasks ended at `before` or earlier, in milliseconds since the epoch. */
  countEnded(before: number): number {
    return Number(this.#connection.value('SELECT count(*) FROM tasks WHERE ended_at <= ?', before));
  }

  /** Removes them, and gives back their room. Resolves with how many they were. */
  async purge(before: number): Promise<number> {
    const connection = this.#connection;
    const oldest = `SELECT sequence, task_id, owner FROM tasks WHERE ended_at <= ? ORDER BY ended_at LIMIT ${SLICE_ROWS}`;
    let sum = 0;
    await this.#inSlices(() => {
      const { removed, isDone } = remove(connection, connection.all(oldest, before));
      sum += removed.length;
      return isDone;
    });
    const unused = () => Number(connection.value('PRAGMA freelist_count'));
    await this.#inSlices(() => {
      const before = unused();
      connection.exec(`PRAGMA incremental_vacuum(${SLICE_PAGES})`);
      return unused() >= before;
    });
    // Until the log has been copied, the file is as large as it was. Nobody is made to wait for it.
    connection.get('PRAGMA wal_checkpoint(PASSIVE)');
    return sum;
  }

  /** Repeats a step until it says that it is done, each time in a transaction of its own: servers come between. */
  async #inSlices(step: () => boolean): Promise<void> {
    while (!this.#transaction('BEGIN IMMEDIATE', step)) await sleep(PAUSE_MS);
  }

  #find(taskId: string): SqliteRow | undefined {
    return this.#connection.get(
      `SELECT ${COLUMNS}, result, instance, ended_at FROM tasks WHERE task_id = ? AND expires_at > ?`,
      key(taskId),
      this.#now(),
    );
  }

  #serverOf({ instance }: SqliteRow): KeptTask['server'] {
    if (instance === null || instance === undefined) return undefined;
    const pid = this.#connection.value('SELECT pid FROM instances WHERE id = ?', instance);
    if (pid === null) return undefined;
    const gone = this.#instances.gone(this.#connection, NONE).some(({ id }) => id === instance);
    return { pid: Number(pid), gone };
  }

  #ask({ sequence }: SqliteRow): void {
    const wish = JSON.stringify({ type: 'cancel' } satisfies Letter['wish']);
    this.#connection.run('INSERT INTO letters (task, wish) VALUES (?, ?)', sequence!, wish);
  }

  /** Cancels a task whose server has gone; false where it is another's by now, or has ended. */
  #end(taskId: string, instance: SqliteValue): boolean {
    return this.#transaction('BEGIN IMMEDIATE', () => {
      const row = this.#find(taskId);
      if (row === undefined || row['ended_at'] !== null || row['instance'] !== instance) return false;
      const task = ended(readRow(row).task, { type: 'cancelled' });
      this.#connection.run(
        'UPDATE tasks SET state = ?, instance = NULL, ended_at = ?, record = ? WHERE sequence = ?',
        task.state,
        endedAt(task),
        recordOf(task),
        row['sequence']!,
      );
      return true;
    });
  }

  #transaction<T>(begin: 'BEGIN' | 'BEGIN IMMEDIATE', run: () => T): T {
    this.#connection.exec(begin);
    try {
      const value = run();
      this.#connection.exec('COMMIT');
      return value;
    } catch (error) {
      rollBack(this.#connection);
      throw error;
    }
  }

  #now(): number {
    const offset = this.#connection.value("SELECT value FROM meta WHERE name = 'clock_offset_ms'");
    return Date.now() - Number(offset);
  }
}
