import { randomInt } from 'node:crypto';
import { setImmediate } from 'node:timers/promises';
import type { Task } from '../tasks/task.ts';
import { isLarge } from './json-pieces.ts';
import { pack, unpack } from './packed-json.ts';
import type { Connection } from './sqlite-connection.ts';
import type { SqliteRow, SqliteValue } from './sqlite-driver.ts';
import { UnreadableTaskError } from './sqlite-errors.ts';
import type { Reader } from './sqlite-reader.ts';
import { key, readRow, type Beside } from './sqlite-rows.ts';
import type { Writer } from './sqlite-writer.ts';

/** From about which size as JSON a result, or a call, is kept beside its row. */
const LARGE_RESULT = 256 * 1024;
const LARGE_CALL = 16 * 1024;

/** Those of the parts of a result; two servers that both end a task do not mix theirs. */
const LARGEST_VERSION = 2 ** 47;
/** That of the parts of a call. */
const CALL_VERSION = 0;

const OWN = 'SELECT sequence FROM tasks WHERE task_id = ? AND state = ? AND instance = ?';
const PART = 'SELECT bytes FROM parts WHERE task = ? AND version = ? AND part = ?';

/** Those of a task that has not ended are none that count. */
const RESULT = `SELECT 1 FROM parts WHERE task = ? AND version <> ${CALL_VERSION} LIMIT 1`;
const DROP_ALL = dropping('task = ?');
const DROP_RESULTS = dropping(`task = ? AND version <> ${CALL_VERSION}`);
const DROP_VERSION = dropping('task = (SELECT sequence FROM tasks WHERE task_id = ?) AND version = ?');

/** A large call, as it is to be kept beside its row. */
export interface PackedCall {
  readonly beside: Beside;
  readonly bytes: number;
  /** Writes it, with the row. */
  put(connection: Connection, sequence: SqliteValue): void;
}

/**
 * Keeps large calls and results beside the rows of their tasks: what changes a row, or lists rows, does not touch
 * them, and they are written and read in parts that do not take long.
 */
export class LargeValues {
  readonly #reader: Reader;
  readonly #writer: Writer;
  readonly #checkDisk: (bytes: number) => void;
  /** The versions, and tasks, of results that no row came to name: they are still to be dropped. */
  readonly #left = new Map<number, string>();

  /** @param checkDisk throws where there is no room for that much */
  constructor(reader: Reader, writer: Writer, checkDisk: (bytes: number) => void) {
    this.#reader = reader;
    this.#writer = writer;
    this.#checkDisk = checkDisk;
  }

  /** Undefined where it is small enough for the row. */
  async packCall({ call }: Task): Promise<PackedCall | undefined> {
    if (!isLarge(call, LARGE_CALL)) return undefined;
    const parts = await pack(call);
    return {
      beside: { version: CALL_VERSION, parts: parts.length },
      bytes: sizeOf(parts),
      put: (connection, sequence) => {
        for (const [part, bytes] of parts.entries())
          insert(connection, [sequence, CALL_VERSION, part, bytes]);
      },
    };
  }

  /**
   * Keeps a large result of a task that is still in state `from` and `me`'s, and nothing of it where its row does not
   * come to name it.
   * @param write writes the row, and says whether it has; it is not called where the task is not that any more. It is
   *   given what is kept beside it, or undefined where the result is small enough for the row
   */
  async withResult(
    from: Task['state'],
    task: Task,
    me: number,
    write: (beside: Beside | undefined) => Promise<boolean>,
  ): Promise<boolean> {
    const { outcome } = task;
    if (outcome?.type !== 'result' || !isLarge(outcome.result, LARGE_RESULT)) return write(undefined);
    const version = randomInt(CALL_VERSION + 1, LARGEST_VERSION);
    const place = { taskId: key(task.taskId), from, me };
    let isNamed = false;
    try {
      await this.#dropLeft();
      const parts = await pack(outcome.result);
      this.#checkDisk(sizeOf(parts));
      for (const [part, bytes] of parts.entries()) {
        if (!(await this.#put(place, version, part, bytes))) return false;
      }
      isNamed = await write({ version, parts: parts.length });
      return isNamed;
    } finally {
      if (!isNamed) {
        this.#left.set(version, place.taskId);
        // Where even that cannot be written, with the next result.
        await this.#dropLeft().catch(() => {});
      }
    }
  }

  /** The task of a row that was another server's: of a result that this one had not kept yet, nothing is kept. */
  async takenOver(row: SqliteRow): Promise<Task | undefined> {
    const sequence = row['sequence']!;
    if ((await this.#reader.read((connection) => connection.get(RESULT, sequence))) !== undefined) {
      while (await this.#writer.write((connection) => connection.run(DROP_RESULTS, sequence) > 0));
    }
    return whole(row, this.#reader);
  }

  /** False where the task is not in that state, or not that server's, any more. */
  #put(
    { taskId, from, me }: { taskId: string; from: Task['state']; me: number },
    version: number,
    part: number,
    bytes: Uint8Array,
  ): Promise<boolean> {
    return this.#writer.write((connection) => {
      const row = connection.get(OWN, taskId, from, me);
      if (row !== undefined) insert(connection, [row['sequence']!, version, part, bytes]);
      return row !== undefined;
    }, bytes.length);
  }

  async #dropLeft(): Promise<void> {
    for (const [version, taskId] of this.#left) {
      while (await this.#writer.write((connection) => connection.run(DROP_VERSION, taskId, version) > 0));
      this.#left.delete(version);
    }
  }
}

/**
 * The task of a row, with what is kept beside it; undefined where that is gone by now.
 * @throws {UnreadableTaskError} where it is not what was written
 */
export async function whole(row: SqliteRow, reader: Reader): Promise<Task | undefined> {
  const { sequence, task, call, result } = readRow(row);
  if (call === undefined && result === undefined) return task;
  let whole = task;
  if (call !== undefined) {
    const value = await valueOf(task, sequence, call, reader);
    if (value === undefined) return undefined;
    whole = { ...whole, call: value as Task['call'] };
  }
  if (result !== undefined && task.outcome?.type === 'result') {
    const value = await valueOf(task, sequence, result, reader);
    if (value === undefined) return undefined;
    whole = { ...whole, outcome: { ...task.outcome, result: value as Record<string, unknown> } };
  }
  return whole;
}

/** Undefined where it is gone. */
async function valueOf(
  { taskId }: Task,
  sequence: number,
  { version, parts }: Beside,
  reader: Reader,
): Promise<unknown> {
  const read: Uint8Array[] = [];
  for (let part = 0; part < parts; part++) {
    const row = await reader.read((connection) => connection.get(PART, sequence, version, part));
    if (row === undefined) return undefined;
    read.push(row['bytes'] as Uint8Array);
    await setImmediate();
  }
  try {
    return await unpack(read);
  } catch (error) {
    throw new UnreadableTaskError(taskId, error);
  }
}

/** Removes some of what is kept beside a row; false where nothing is left. */
export function dropParts(connection: Connection, sequence: SqliteValue): boolean {
  return connection.run(DROP_ALL, sequence) > 0;
}

/** Removes some, so that it does not take long. */
function dropping(where: string): string {
  return `DELETE FROM parts WHERE rowid IN (SELECT rowid FROM parts WHERE ${where} LIMIT 4)`;
}

function sizeOf(parts: readonly Uint8Array[]): number {
  return parts.reduce((sum, { length }) => sum + length, 0);
}

function insert(connection: Connection, values: readonly SqliteValue[]): void {
  connection.run('INSERT INTO parts (task, version, part, bytes) VALUES (?, ?, ?, ?)', ...values);
}
