import { resolve } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { InvalidCursorError, KeyTakenError, OptionError } from '../errors.ts';
import { SteadyClock } from '../tasks/clock.ts';
import { SILENT, type Log } from '../tasks/log.ts';
import type { Page, Purged, TaskStore } from '../tasks/store.ts';
import { isTerminal, type Task } from '../tasks/task.ts';
import { Checker } from './sqlite-checker.ts';
import type { Connection } from './sqlite-connection.ts';
import { loadDriver } from './sqlite-driver.ts';
import { closed, damaged, faultOf } from './sqlite-errors.ts';
import { isRegistered } from './sqlite-instances.ts';
import { LargeValues, whole } from './sqlite-large.ts';
import { LargeLog } from './sqlite-log.ts';
import { openFile, type Synchronous } from './sqlite-open.ts';
import { Reader } from './sqlite-reader.ts';
import * as rows from './sqlite-rows.ts';
import { SqliteShared } from './sqlite-shared.ts';
import { Space } from './sqlite-space.ts';
import { Writer } from './sqlite-writer.ts';

/** How many rows are read at once. */
const SLICE = 50;

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
  readonly #reader: Reader;
  readonly #writer: Writer;
  readonly #large: LargeValues;
  readonly #space: Space;
  readonly #largeLog: LargeLog;
  #checker: Checker | undefined;
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
    const { connection, isChecked } = await openFile(driver, resolve(options.path), synchronous);
    const store = new SqliteStore(connection, { maxStoreMb, leaseMs, log });
    if (!isChecked) store.#check(log);
    return store;
  }

  private constructor(connection: Connection, options: { maxStoreMb: number; leaseMs: number; log: Log }) {
    this.#connection = connection;
    const kept = Number(connection.value("SELECT value FROM meta WHERE name = 'clock_offset_ms'") ?? 0);
    this.clock = new SteadyClock(kept);
    this.#reader = new Reader(connection);
    this.#largeLog = new LargeLog(connection);
    const keepOffset = offsetKeeper(this.clock, kept);
    this.#writer = new Writer(connection, () => {
      this.#largeLog.look();
      return keepOffset(connection);
    });
    this.#space = new Space(this.#writer, connection, options);
    this.#large = new LargeValues(this.#reader, this.#writer, (bytes) => this.#space.checkDisk(bytes));
    this.shared = new SqliteShared(this.#reader, this.#writer, connection, {
      ...options,
      takenOver: (row) => this.#large.takenOver(row),
    });
  }

  async create(task: Task): Promise<void> {
    const { taskId, owner, idempotencyKey, state } = task;
    const large = await this.#large.packCall(task);
    const call = rows.callOf(task.call, large?.beside);
    const bytes = call.length + (large?.bytes ?? 0);
    this.#space.checkDisk(bytes);
    const keyed = [rows.key(owner), idempotencyKey === undefined ? null : rows.key(idempotencyKey)];
    const values = [
      rows.whole(task.expiresAt),
      rows.endedAt(task),
      rows.recordOf(task),
      call,
      rows.resultOf(task),
    ];
    const insert = (me: number | null) =>
      this.#writer.write((connection) => {
        if (me !== null && !isRegistered(connection, me)) return 'lost';
        const named = [rows.key(taskId), ...keyed, state, me];
        const row = connection.get(INSERT, ...named, ...values, ...keyed, this.clock.now());
        if (row !== undefined) large?.put(connection, row['sequence']!);
        return row === undefined ? 'taken' : 'kept';
      }, bytes);
    let how: 'kept' | 'taken' | 'lost';
    try {
      how = isTerminal(task) ? await insert(null) : await this.shared.asItself(insert);
    } catch (error) {
      if (faultOf(error) !== 'constraint') throw error;
      throw new Error(`task ${taskId} exists`, { cause: error });
    }
    if (how === 'taken') throw new KeyTakenError();
    this.#space.look();
  }

  async replace(from: Task['state'], task: Task): Promise<boolean> {
    // Who this server is now: once its tasks were taken over, it is another.
    const me = await this.shared.self();
    const isReplaced = await this.#large.withResult(from, task, me, async (beside) => {
      const record = rows.recordOf(task, beside);
      const result = rows.resultOf(task, beside);
      const values = [
        task.state,
        isTerminal(task) ? null : me,
        rows.whole(task.expiresAt),
        rows.endedAt(task),
        record,
        result,
        rows.key(task.taskId),
        from,
        me,
      ];
      const update = (connection: Connection) =>
        // Nothing is started, or gone on with, that is anybody's; but what has ended has.
        (isTerminal(task) || isRegistered(connection, me)) && connection.run(UPDATE, ...values) > 0;
      return this.#writer.write(update, record.length + (result?.length ?? 0));
    });
    this.#space.look();
    return isReplaced;
  }

  async get(taskId: string): Promise<Task | undefined> {
    const row = await this.#reader.read((connection) =>
      connection.get(`${SELECT} WHERE task_id = ?`, rows.key(taskId)),
    );
    return row && whole(row, this.#reader);
  }

  async findByKey(owner: string, idempotencyKey: string): Promise<Task | undefined> {
    const where = 'WHERE owner = ? AND idempotency_key = ? ORDER BY sequence DESC LIMIT 1';
    const row = await this.#reader.read((connection) =>
      connection.get(`${SELECT} ${where}`, rows.key(owner), rows.key(idempotencyKey)),
    );
    return row && whole(row, this.#reader);
  }

  /** Leaves out results, and the arguments of large calls. */
  async list(owner: string, cursor: string | undefined, limit: number): Promise<Page> {
    let after = cursor === undefined ? 0 : await this.#decode(cursor);
    const tasks: Task[] = [];
    for (;;) {
      const wanted = Math.min(limit - tasks.length, SLICE) + 1;
      const found = await this.#reader.read((connection) =>
        connection.all(LIST, rows.key(owner), after, wanted),
      );
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
    return this.#reader.read((connection) => this.#space.nextExpiry(connection, this.shared.id));
  }

  async size(): Promise<number> {
    return Number(
      await this.#reader.read((connection) =>
        connection.value("SELECT value FROM meta WHERE name = 'tasks'"),
      ),
    );
  }

  /** Ends what is under way, and leaves what has not ended to other servers. Calling it again waits for the same end. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  #check(log: Log): void {
    const { path } = this.#connection;
    this.#checker = new Checker(path, log, (found) => {
      const error = damaged(path, found);
      log.error({ err: error, path }, 'the store is damaged and takes nothing more');
      this.#writer.refuse(error);
    });
  }

  async #close(): Promise<void> {
    await Promise.all([this.#checker?.stop(), this.#largeLog.stop()]);
    this.#space.close();
    await this.shared.close();
    await this.#writer.idle();
    this.#writer.refuse(closed());
    this.#reader.refuse(closed());
    this.#connection.finish();
  }

  async #decode(cursor: string): Promise<number> {
    const sequence = Number(/^s(\d{1,15})$/.exec(Buffer.from(cursor, 'base64url').toString())?.[1]);
    const last = await this.#reader.read((connection) =>
      connection.value("SELECT seq FROM sqlite_sequence WHERE name = 'tasks'"),
    );
    if (!(sequence >= 1 && sequence <= Number(last)) || encode(sequence) !== cursor)
      throw new InvalidCursorError();
    return sequence;
  }
}

const INSERT =
  'INSERT INTO tasks (task_id, owner, idempotency_key, state, instance, expires_at, ended_at, record, call, result) ' +
  'SELECT ?, ?, ?, ?, ?, ?, ?, ?, ?, ? ' +
  // NULL is the same as nothing.
  'WHERE NOT EXISTS (SELECT 1 FROM tasks WHERE owner = ? AND idempotency_key = ? AND expires_at > ?) RETURNING sequence';
const UPDATE =
  'UPDATE tasks SET state = ?, instance = ?, expires_at = ?, ended_at = ?, record = ?, result = ? ' +
  'WHERE task_id = ? AND state = ? AND instance = ?';
const SELECT = `SELECT ${rows.COLUMNS}, result FROM tasks`;
const LIST = `SELECT ${rows.COLUMNS} FROM tasks WHERE owner = ? AND sequence > ? ORDER BY sequence LIMIT ?`;

/** Keeps in the file how far the machine's clock is ahead of the tasks', when it has been set. */
function offsetKeeper(clock: SteadyClock, kept: number): (connection: Connection) => () => void {
  return (connection) => {
    const { offsetMs } = clock;
    if (Math.abs(offsetMs - kept) <= 1000) return () => {};
    connection.run("INSERT OR REPLACE INTO meta VALUES ('clock_offset_ms', ?)", Math.round(offsetMs));
    return () => {
      kept = offsetMs;
    };
  };
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
