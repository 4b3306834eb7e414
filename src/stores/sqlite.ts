import { randomInt } from 'node:crypto';
import { resolve } from 'node:path';
import { setImmediate, setTimeout } from 'node:timers/promises';
import { InvalidCursorError, OptionError, StoreUnavailableError } from '../errors.ts';
import { SteadyClock } from '../tasks/clock.ts';
import type { Log } from '../tasks/log.ts';
import type { Page, Purged, TaskStore } from '../tasks/store.ts';
import { isTerminal, type Task } from '../tasks/task.ts';
import type { Connection } from './sqlite-connection.ts';
import { loadDriver, type SqliteRow } from './sqlite-driver.ts';
import { faultOf, unavailable } from './sqlite-errors.ts';
import { CALL_VERSION, LARGE_CALL, LARGE_RESULT, getPart, pack, putPart, unpack } from './sqlite-large.ts';
import { openFile, type Synchronous } from './sqlite-open.ts';
import * as rows from './sqlite-rows.ts';
import { SqliteShared } from './sqlite-shared.ts';
import { Space } from './sqlite-space.ts';
import { Writer } from './sqlite-writer.ts';

const VERSIONS = 2 ** 47;
/** How many rows are read at once. */
const SLICE = 50;
const LONGEST_LOCK_MS = 5000;
const SILENT: Log = { info: () => {}, warn: () => {}, error: () => {} };

export interface SqliteStoreOptions {
  /** The file; made where there is none, readable by its owner alone. */
  readonly path: string;
  /** Where it is told that tasks left for want of room, or that the file is damaged. Default: nowhere. */
  readonly log?: Log;
  /**
   * `full`: what was acknowledged is kept though the machine loses its power. `normal`: only though the process is
   * killed, and faster. Default `full`.
   */
  readonly synchronous?: Synchronous;
  /** How large the file may grow, in megabytes, before the tasks leave that ended first. Default 1,024. */
  readonly maxStoreMb?: number;
  /** For how long another server on the file may leave no trace before its tasks are taken over. Default 30,000. */
  readonly leaseMs?: number;
}

/**
 * Keeps tasks in a SQLite file, which several servers of one machine may use at once. It is Node's own SQLite
 * (22.13 and newer), or else that of the optional dependency `@photostructure/sqlite`. Use it on the main thread.
 */
export class SqliteStore implements TaskStore {
  readonly clock: SteadyClock;
  readonly shared: SqliteShared;
  readonly #connection: Connection;
  readonly #writer: Writer;
  readonly #space: Space;
  #closing: Promise<void> | undefined;

  /**
   * Opens the file, makes it where there is none, and brings its schema up to date.
   * @throws {OptionError} when an option has a value it cannot have
   * @throws {StoreError} when the file cannot be used: it is another program's or a newer version's, damaged,
   *   locked, or may not be written; or when there is no SQLite. The file is left as it is.
   */
  static async open(options: SqliteStoreOptions): Promise<SqliteStore> {
    checkOptions(options);
    const { synchronous = 'full', maxStoreMb = 1024, leaseMs = 30_000, log = SILENT } = options;
    const driver = await loadDriver();
    const { connection } = await openFile(driver, resolve(options.path), synchronous);
    return new SqliteStore(connection, { maxStoreMb, leaseMs, log });
  }

  private constructor(connection: Connection, options: { maxStoreMb: number; leaseMs: number; log: Log }) {
    this.#connection = connection;
    const kept = Number(connection.value("SELECT value FROM meta WHERE name = 'clock_offset_ms'") ?? 0);
    this.clock = new SteadyClock(kept);
    this.#writer = new Writer(connection, offsetKeeper(this.clock, kept));
    this.#space = new Space(this.#writer, connection, options);
    this.shared = new SqliteShared(this.#writer, connection, {
      ...options,
      whole: (row) => this.#whole(row),
    });
  }

  async create(task: Task): Promise<void> {
    const { taskId, owner, idempotencyKey, state } = task;
    const me = isTerminal(task) ? null : await this.shared.self();
    const call = JSON.stringify(task.call);
    const parts = call.length > LARGE_CALL ? await pack(call) : undefined;
    const kept = parts
      ? rows.callOf(rows.smallCall(task.call), { version: CALL_VERSION, parts: parts.length })
      : rows.callOf(task.call);
    const values = [
      rows.key(taskId),
      rows.key(owner),
      idempotencyKey === undefined ? null : rows.key(idempotencyKey),
      state,
      me,
      rows.whole(task.expiresAt),
      rows.endedAt(task),
      rows.recordOf(task),
      kept,
      task.outcome?.type === 'result' ? JSON.stringify(task.outcome.result) : null,
    ];
    try {
      await this.#writer.write(
        (connection) => {
          const row = connection.get(INSERT, ...values)!;
          parts?.forEach((bytes, part) =>
            putPart(connection, { task: row['sequence']!, version: CALL_VERSION, part }, bytes),
          );
        },
        parts === undefined ? call.length : size(parts),
      );
    } catch (error) {
      if (faultOf(error) !== 'constraint') throw error;
      throw new Error(`task ${taskId} exists`, { cause: error });
    }
    this.#space.look();
  }

  async replace(from: Task['state'], task: Task): Promise<boolean> {
    const me = await this.shared.self();
    const { outcome } = task;
    const result = outcome?.type === 'result' ? JSON.stringify(outcome.result) : null;
    const beside =
      result !== null && result.length > LARGE_RESULT
        ? await this.#putBeside({ from, taskId: task.taskId, me }, result)
        : undefined;
    if (beside === null) return false;
    const values = [
      task.state,
      isTerminal(task) ? null : me,
      rows.whole(task.expiresAt),
      rows.endedAt(task),
      rows.recordOf(task, beside),
      beside === undefined ? result : null,
      rows.key(task.taskId),
      from,
      me,
    ];
    const bytes = beside === undefined ? (result?.length ?? 0) : 0;
    const changed = await this.#writer.write((connection) => connection.run(UPDATE, ...values), bytes);
    this.#space.look();
    return changed > 0;
  }

  async get(taskId: string): Promise<Task | undefined> {
    const row = await this.#read((connection) =>
      connection.get(`${SELECT} WHERE task_id = ?`, rows.key(taskId)),
    );
    return row && this.#whole(row);
  }

  async findByKey(owner: string, idempotencyKey: string): Promise<Task | undefined> {
    const where = 'WHERE owner = ? AND idempotency_key = ? ORDER BY sequence DESC LIMIT 1';
    const row = await this.#read((connection) =>
      connection.get(`${SELECT} ${where}`, rows.key(owner), rows.key(idempotencyKey)),
    );
    return row && this.#whole(row);
  }

  /** Leaves out results, and the arguments of large calls. */
  async list(owner: string, cursor: string | undefined, limit: number): Promise<Page> {
    let after = cursor === undefined ? 0 : await this.#decode(cursor);
    const tasks: Task[] = [];
    for (;;) {
      const wanted = Math.min(limit - tasks.length, SLICE) + 1;
      const found = await this.#read((connection) => connection.all(LIST, rows.key(owner), after, wanted));
      const page = found.slice(0, wanted - 1).map(rows.readRow);
      tasks.push(...page.map(({ task }) => task));
      after = page.at(-1)?.sequence ?? after;
      if (found.length < wanted) return { tasks };
      if (tasks.length >= limit) return { tasks, nextCursor: encode(after) };
      await setImmediate();
    }
  }

  /** Removes some hundreds of tasks at most. */
  async purge(now: number): Promise<readonly Purged[]> {
    return this.#space.purge(rows.whole(Math.floor(now)), this.shared.id);
  }

  async nextExpiry(): Promise<number | undefined> {
    const next = await this.#read((connection) => this.#space.nextExpiry(connection, this.shared.id));
    return next;
  }

  async size(): Promise<number> {
    return Number(
      await this.#read((connection) => connection.value("SELECT value FROM meta WHERE name = 'tasks'")),
    );
  }

  /** Ends what is under way, and leaves what has not ended to other servers. Calling it again waits for the same end. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.#space.close();
    await this.shared.close();
    await this.#writer.idle();
    this.#writer.refuse(new StoreUnavailableError('the store is closed'));
    this.#connection.close();
  }

  /** Reads, however long another process has the file to itself. */
  async #read<T>(read: (connection: Connection) => T): Promise<T> {
    const longest = performance.now() + LONGEST_LOCK_MS;
    for (;;) {
      try {
        return read(this.#connection);
      } catch (error) {
        if (faultOf(error) === 'statement') throw error;
        if (faultOf(error) !== 'busy' || performance.now() > longest)
          throw unavailable(this.#connection.path, error);
      }
      await setTimeout(1 + Math.random() * 4);
    }
  }

  /** The task of a row, with what is kept beside it; undefined where that is gone by now. */
  async #whole(row: SqliteRow): Promise<Task | undefined> {
    const { sequence, task, call, result } = rows.readRow(row);
    if (call === undefined && result === undefined) return task;
    const [wholeCall, wholeResult] = [
      call && (await this.#readBeside(sequence, call)),
      result && (await this.#readBeside(sequence, result)),
    ];
    if (wholeCall === null || wholeResult === null) return undefined;
    return {
      ...task,
      ...(wholeCall !== undefined && { call: wholeCall as Task['call'] }),
      ...(task.outcome?.type === 'result' &&
        wholeResult !== undefined && {
          outcome: { ...task.outcome, result: wholeResult as Record<string, unknown> },
        }),
    };
  }

  /** Null where it is gone by now. */
  async #readBeside(sequence: number, { version, parts }: rows.Beside): Promise<unknown> {
    const read: Uint8Array[] = [];
    for (let part = 0; part < parts; part++) {
      const bytes = await this.#read((connection) => getPart(connection, sequence, version, part));
      if (bytes === undefined) return null;
      read.push(bytes);
      await setImmediate();
    }
    return JSON.parse(await unpack(read));
  }

  /** Keeps a result beside the row of a task that is still in that state and this server's; null where it is not. */
  async #putBeside(
    { from, taskId, me }: { from: Task['state']; taskId: string; me: number },
    result: string,
  ): Promise<rows.Beside | null> {
    const version = randomInt(CALL_VERSION + 1, VERSIONS);
    const parts = await pack(result);
    const own = 'SELECT sequence FROM tasks WHERE task_id = ? AND state = ? AND instance = ?';
    for (const [part, bytes] of parts.entries()) {
      const isKept = await this.#writer.write((connection) => {
        const row = connection.get(own, rows.key(taskId), from, me);
        if (row !== undefined) putPart(connection, { task: row['sequence']!, version, part }, bytes);
        return row !== undefined;
      }, bytes.length);
      if (!isKept) return null;
    }
    return { version, parts: parts.length };
  }

  async #decode(cursor: string): Promise<number> {
    const sequence = Number(/^s(\d{1,15})$/.exec(Buffer.from(cursor, 'base64url').toString())?.[1]);
    const last = await this.#read((connection) =>
      connection.value("SELECT seq FROM sqlite_sequence WHERE name = 'tasks'"),
    );
    if (!(sequence >= 1 && sequence <= Number(last)) || encode(sequence) !== cursor)
      throw new InvalidCursorError();
    return sequence;
  }
}

const INSERT =
  'INSERT INTO tasks (task_id, owner, idempotency_key, state, instance, expires_at, ended_at, record, call, result) ' +
  'VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING sequence';
const UPDATE =
  'UPDATE tasks SET state = ?, instance = ?, expires_at = ?, ended_at = ?, record = ?, result = ? ' +
  'WHERE task_id = ? AND state = ? AND instance = ?';
const SELECT = `SELECT ${rows.COLUMNS}, result FROM tasks`;
const LIST = `SELECT ${rows.COLUMNS} FROM tasks WHERE owner = ? AND sequence > ? ORDER BY sequence LIMIT ?`;

/** Keeps in the file how far the machine's clock is ahead of the tasks', when it has been set. */
function offsetKeeper(clock: SteadyClock, kept: number): (connection: Connection) => void {
  return (connection) => {
    const { offsetMs } = clock;
    if (Math.abs(offsetMs - kept) <= 1000) return;
    connection.run("INSERT OR REPLACE INTO meta VALUES ('clock_offset_ms', ?)", Math.round(offsetMs));
    kept = offsetMs;
  };
}

function size(parts: readonly Uint8Array[]): number {
  return parts.reduce((sum, { length }) => sum + length, 0);
}

function encode(sequence: number): string {
  return Buffer.from(`s${sequence}`).toString('base64url');
}

function checkOptions({ path, synchronous, maxStoreMb, leaseMs }: SqliteStoreOptions): void {
  const wrong = (name: string, wanted: string, got: unknown) => {
    throw new OptionError(`${name}: expected ${wanted}, got ${JSON.stringify(got)}`);
  };
  const isPositive = (value: number) => Number.isFinite(value) && value > 0;
  if (typeof path !== 'string' || path === '' || path.includes('\0'))
    wrong('path', 'the path of a file', path);
  if (synchronous !== undefined && !['full', 'normal'].includes(synchronous)) {
    wrong('synchronous', "'full' or 'normal'", synchronous);
  }
  if (maxStoreMb !== undefined && !isPositive(maxStoreMb)) {
    wrong('maxStoreMb', 'a positive number of megabytes', maxStoreMb);
  }
  if (leaseMs !== undefined && !isPositive(leaseMs)) {
    wrong('leaseMs', 'a positive number of milliseconds', leaseMs);
  }
}
