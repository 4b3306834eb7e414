import { randomInt } from 'node:crypto';
import { setImmediate } from 'node:timers/promises';
import type { Task } from '../tasks/task.ts';
import { isLarge } from './json-pieces.ts';
import { pack, unpack } from './packed-json.ts';
import type { Connection } from './sqlite-connection.ts';
import type { SqliteRow, SqliteValue } from './sqlite-driver.ts';
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

  constructor(reader: Reader, writer: Writer) {
    this.#reader = reader;
    this.#writer = writer;
  }

  /** Undefined where it is small enough for the row. */
  async packCall({ call }: Task): Promise<PackedCall | undefined> {
    if (!isLarge(call, LARGE_CALL)) return undefined;
    const parts = await pack(call);
    return {
      beside: { version: CALL_VERSION, parts: parts.length },
      bytes: parts.reduce((sum, { length }) => sum + length, 0),
      put: (connection, sequence) => {
        for (const [part, bytes] of parts.entries())
          insert(connection, [sequence, CALL_VERSION, part, bytes]);
      },
    };
  }

  /**
   * Keeps a large result of a task that is still in state `from` and `me`'s. It counts once the row names it.
   * @returns undefined where it is small enough for the row; false where the task is not that any more
   */
  async putResult(
    from: Task['state'],
    { taskId, outcome }: Task,
    me: number,
  ): Promise<Beside | undefined | false> {
    if (outcome?.type !== 'result' || !isLarge(outcome.result, LARGE_RESULT)) return undefined;
    const version = randomInt(CALL_VERSION + 1, LARGEST_VERSION);
    const parts = await pack(outcome.result);
    for (const [part, bytes] of parts.entries()) {
      const isKept = await this.#writer.write((connection) => {
        const row = connection.get(OWN, key(taskId), from, me);
        if (row !== undefined) insert(connection, [row['sequence']!, version, part, bytes]);
        return row !== undefined;
      }, bytes.length);
      if (!isKept) return false;
    }
    return { version, parts: parts.length };
  }

  /** The task of a row, with what is kept beside it; undefined where that is gone by now. */
  async whole(row: SqliteRow): Promise<Task | undefined> {
    const { sequence, task, call, result } = readRow(row);
    if (call === undefined && result === undefined) return task;
    let whole = task;
    if (call !== undefined) {
      const parts = await this.#parts(sequence, call);
      if (parts === undefined) return undefined;
      whole = { ...whole, call: (await unpack(parts)) as Task['call'] };
    }
    if (result !== undefined && task.outcome?.type === 'result') {
      const parts = await this.#parts(sequence, result);
      if (parts === undefined) return undefined;
      whole = {
        ...whole,
        outcome: { ...task.outcome, result: (await unpack(parts)) as Record<string, unknown> },
      };
    }
    return whole;
  }

  async #parts(sequence: number, { version, parts }: Beside): Promise<Uint8Array[] | undefined> {
    const read: Uint8Array[] = [];
    for (let part = 0; part < parts; part++) {
      const bytes = await this.#reader.read((connection) => getPart(connection, sequence, version, part));
      if (bytes === undefined) return undefined;
      read.push(bytes);
      await setImmediate();
    }
    return read;
  }
}

/** One part of a value that is kept beside a row; undefined where it is gone. */
export function getPart(
  connection: Connection,
  sequence: number,
  version: number,
  part: number,
): Uint8Array | undefined {
  return connection.get(PART, sequence, version, part)?.['bytes'] as Uint8Array | undefined;
}

/** Removes some of what is kept beside a row; false where nothing is left. */
export function dropParts(connection: Connection, sequence: SqliteValue): boolean {
  const some = 'SELECT rowid FROM parts WHERE task = ? LIMIT 4';
  return connection.run(`DELETE FROM parts WHERE rowid IN (${some})`, sequence) > 0;
}

function insert(connection: Connection, values: readonly SqliteValue[]): void {
  connection.run('INSERT INTO parts (task, version, part, bytes) VALUES (?, ?, ?, ?)', ...values);
}
