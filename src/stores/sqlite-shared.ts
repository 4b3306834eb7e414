import type { Log } from '../tasks/log.ts';
import type { Letter, ReceivedLetter, SharedEvents, SharedStore } from '../tasks/store.ts';
import type { Task } from '../tasks/task.ts';
import type { Connection } from './sqlite-connection.ts';
import type { SqliteRow } from './sqlite-driver.ts';
import { UnreadableTaskError, closed } from './sqlite-errors.ts';
import { Instances, abandoned, isRegistered, register, type Instance } from './sqlite-instances.ts';
import type { Reader } from './sqlite-reader.ts';
import { COLUMNS, key, textOf } from './sqlite-rows.ts';
import type { Writer } from './sqlite-writer.ts';

/** How many tasks are taken over at once. */
const CLAIMED = 200;
const LETTERS = 100;
/** How soon it is seen that another process has written. */
const WATCH_MS = 100;
/** How soon it is seen that another process has ended. */
const LOOK_MS = 1000;

const CLAIM =
  'UPDATE tasks SET instance = ? WHERE sequence IN ' +
  '(SELECT sequence FROM tasks WHERE ended_at IS NULL AND instance IS ? ORDER BY sequence LIMIT ?) ' +
  `RETURNING ${COLUMNS}, result`;
const MINE =
  'SELECT letters.id, wish, task_id FROM letters JOIN tasks ON sequence = task ' +
  `WHERE instance = ? AND ended_at IS NULL ORDER BY letters.id LIMIT ${LETTERS}`;
const DONE =
  'DELETE FROM letters WHERE id = ? AND ' +
  'EXISTS (SELECT 1 FROM tasks WHERE sequence = task AND (ended_at IS NOT NULL OR instance = ?))';

interface Options {
  readonly leaseMs: number;
  readonly log: Log;
  readonly takenOver: (row: SqliteRow) => Promise<Task | undefined>;
}

/**
 * What a server does about the others on its file. It is registered there when it first writes a task or watches,
 * and shows by a beat that it is alive. Once it is not registered any more, whatever the reason, its tasks are anybody's.
 */
export class SqliteShared implements SharedStore {
  readonly #reader: Reader;
  readonly #writer: Writer;
  readonly #connection: Connection;
  readonly #options: Options;
  readonly #instances: Instances;
  #id: number | undefined;
  /** Rows that it has taken over, and could not read so far. */
  #unread: SqliteRow[] = [];
  #registering: Promise<number> | undefined;
  #beat: NodeJS.Timeout | undefined;
  #watch: NodeJS.Timeout | undefined;
  #events: SharedEvents | undefined;
  #dataVersion: unknown;
  #lookedAt = 0;
  #beating: Promise<void> | undefined;
  /** The last beat could not be written. */
  #isUnheard = false;
  #isClosed = false;

  constructor(reader: Reader, writer: Writer, connection: Connection, options: Options) {
    this.#reader = reader;
    this.#writer = writer;
    this.#connection = connection;
    this.#options = options;
    this.#instances = new Instances(options.leaseMs);
  }

  /** Who this server is on the file; undefined where it is not registered. */
  get id(): number | undefined {
    return this.#id;
  }

  /** Who this server is on the file, which it tells the others first. */
  self(): Promise<number> | number {
    if (this.#id !== undefined) return this.#id;
    // It would stay there, and its tasks with it, for as long as this process lives.
    if (this.#isClosed) return Promise.reject(closed());
    this.#registering ??= this.#register().finally(() => (this.#registering = undefined));
    return this.#registering;
  }

  /**
   * Writes as this server; as who it is then, where it finds that it was taken for dead.
   * @param write gives `lost`, and has written nothing, where that id is not registered
   */
  async asItself<T>(write: (me: number) => Promise<T | 'lost'>): Promise<T> {
    for (;;) {
      const written = await write(await this.self());
      if (written !== 'lost') return written;
      await this.#showItself();
    }
  }

  async claim(): Promise<readonly Task[]> {
    const me = await this.self();
    for (;;) {
      const rows = this.#unread.splice(0);
      if (rows.length === 0)
        rows.push(...(await this.#writer.write((connection) => this.#take(connection, me))));
      if (rows.length === 0) return [];
      const tasks = await this.#read(rows);
      if (tasks.length > 0) return tasks;
    }
  }

  /** The tasks of rows that were taken over. What cannot be read now is given the next time: it is this server's already. */
  async #read(rows: SqliteRow[]): Promise<Task[]> {
    const tasks: Task[] = [];
    for (const [n, row] of rows.entries()) {
      try {
        const task = await this.#options.takenOver(row);
        if (task !== undefined) tasks.push(task);
      } catch (error) {
        if (error instanceof UnreadableTaskError) {
          this.#options.log.error(
            { err: error, path: this.#connection.path },
            'a task cannot be gone on with',
          );
          continue;
        }
        this.#unread.push(...rows.slice(n));
        if (tasks.length === 0) throw error;
        break;
      }
    }
    return tasks;
  }

  async post({ taskId, wish }: Letter): Promise<void> {
    const insert =
      'INSERT INTO letters (task, wish) SELECT sequence, ? FROM tasks WHERE task_id = ? AND ended_at IS NULL';
    const text = JSON.stringify(wish);
    await this.#writer.write((connection) => connection.run(insert, text, key(taskId)), text.length);
  }

  async letters(): Promise<readonly ReceivedLetter[]> {
    const me = this.#id;
    if (me === undefined) return [];
    const rows = await this.#reader.read((connection) => connection.all(MINE, me));
    return rows.map((row) => ({
      id: Number(row['id']),
      taskId: textOf(row['task_id']),
      wish: JSON.parse(String(row['wish'])) as Letter['wish'],
    }));
  }

  async done(letters: readonly ReceivedLetter[]): Promise<void> {
    const me = this.#id;
    if (me === undefined) return;
    const isSaid = await this.#writer.write((connection) => {
      // What it did about them was not kept.
      if (!isRegistered(connection, me)) return false;
      for (const { id } of letters) connection.run(DONE, id, me);
      return true;
    });
    if (!isSaid) await this.#showItself();
  }

  watch(events: SharedEvents): void {
    if (this.#isClosed) return;
    this.#events = events;
    this.#look();
    this.#watch = setInterval(() => this.#notice(), WATCH_MS);
    // Told again at the next beat where it cannot be now.
    Promise.resolve(this.self()).catch(() => {});
    this.#startBeat();
  }

  /** Leaves what has not ended to the others. */
  async close(): Promise<void> {
    this.#isClosed = true;
    clearInterval(this.#watch);
    clearInterval(this.#beat);
    await this.#registering?.catch(() => {});
    const me = this.#id;
    if (me === undefined) return;
    this.#id = undefined;
    try {
      await this.#writer.write((connection) => connection.run('DELETE FROM instances WHERE id = ?', me));
    } catch (error) {
      // The others see that this process has ended.
      this.#warn(error, 'the store could not be told that this server has left it');
    }
  }

  async #register(): Promise<number> {
    const id = await this.#writer.write(register);
    this.#id = id;
    if (!this.#isClosed) this.#startBeat();
    return id;
  }

  #startBeat(): void {
    this.#beat ??= setInterval(() => void this.#sendBeat(), this.#options.leaseMs / 6);
  }

  async #sendBeat(): Promise<void> {
    try {
      await this.#showItself();
      this.#isUnheard = false;
    } catch (error) {
      if (!this.#isUnheard) this.#warn(error, 'the store could not be told that this server is alive');
      this.#isUnheard = true;
    }
  }

  /** One at a time: two at once would both find that it is not registered any more. */
  #showItself(): Promise<void> {
    this.#beating ??= this.#writeBeat().finally(() => (this.#beating = undefined));
    return this.#beating;
  }

  async #writeBeat(): Promise<void> {
    const before = await this.self();
    const id = await this.#writer.write((connection) => {
      const isThere = connection.run('UPDATE instances SET beat = beat + 1 WHERE id = ?', before) > 0;
      // Whoever cannot write himself cannot tell who is gone: a full disk keeps all from it.
      this.#instances.look(connection);
      return isThere ? before : register(connection);
    });
    if (id !== before) this.#wasLost(id);
  }

  #wasLost(id: number): void {
    if (this.#isClosed) return;
    this.#id = id;
    this.#unread = [];
    this.#options.log.warn({}, 'this server was taken for dead, and its tasks were taken over');
    this.#events?.lost();
    this.#events?.gone();
  }

  #notice(): void {
    const seen = this.#look();
    if (seen.isLost) void this.#sendBeat();
    if (seen.hasChanged) this.#events?.changed();
    if (seen.isGone) this.#events?.gone();
  }

  #look(): { hasChanged?: boolean; isLost?: boolean; isGone?: boolean } {
    const connection = this.#connection;
    const me = this.#id;
    try {
      const version = connection.value('PRAGMA data_version');
      const hasChanged = version !== this.#dataVersion;
      this.#dataVersion = version;
      if (me === undefined || !(hasChanged || performance.now() - this.#lookedAt >= LOOK_MS))
        return { hasChanged };
      this.#lookedAt = performance.now();
      return {
        hasChanged,
        // At once: until it knows it, it runs tasks that are another's.
        isLost: !isRegistered(connection, me),
        isGone:
          this.#gone(connection, me).length > 0 ||
          this.#unread.length > 0 ||
          abandoned(connection).length > 0,
      };
    } catch {
      // Another process has it to itself, or worse; it is looked at again, and what is wrong is told by who writes.
      return {};
    }
  }

  #warn(error: unknown, message: string): void {
    this.#options.log.warn({ err: error, path: this.#connection.path }, message);
  }

  #gone(connection: Connection, me: number): Instance[] {
    return this.#instances.gone(connection, me);
  }

  /** Some tasks of one who is gone. */
  #take(connection: Connection, me: number): SqliteRow[] {
    // It is told so, and then comes again.
    if (!isRegistered(connection, me)) return [];
    for (const { id, beat } of this.#gone(connection, me)) {
      connection.run('DELETE FROM instances WHERE id = ? AND beat = ?', id, beat);
    }
    for (const id of abandoned(connection)) {
      const rows = connection.all(CLAIM, me, id, CLAIMED);
      if (rows.length > 0) return rows.sort((a, b) => Number(a['sequence']) - Number(b['sequence']));
    }
    return [];
  }
}
