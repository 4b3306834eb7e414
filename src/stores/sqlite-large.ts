import { promisify } from 'node:util';
import { gunzip, gzip } from 'node:zlib';
import type { Connection } from './sqlite-connection.ts';
import type { SqliteValue } from './sqlite-driver.ts';

/** From which size, in bytes of JSON, a result or the arguments of a call are kept beside their row. */
export const LARGE_RESULT = 256 * 1024;
export const LARGE_CALL = 16 * 1024;
/** What is written or read at once. */
const PART = 128 * 1024;
/** Nothing is cut off: whatever is this large, SQLite does not keep. */
const MOST_BYTES = 2 ** 31 - 1;

/** The version of the parts of a call; those of results have random ones. */
export const CALL_VERSION = 0;

/** A value as it is kept beside a row: compressed, in parts, so that none takes long. */
export async function pack(json: string): Promise<Uint8Array[]> {
  const bytes = await promisify(gzip)(json, { level: 1 });
  const parts: Uint8Array[] = [];
  for (let at = 0; at < bytes.length; at += PART) parts.push(bytes.subarray(at, at + PART));
  return parts;
}

export async function unpack(parts: readonly Uint8Array[]): Promise<string> {
  const bytes = await promisify(gunzip)(Buffer.concat(parts), { maxOutputLength: MOST_BYTES });
  return bytes.toString();
}

export function putPart(
  connection: Connection,
  place: { readonly task: SqliteValue; readonly version: number; readonly part: number },
  bytes: Uint8Array,
): void {
  const { task, version, part } = place;
  connection.run('INSERT INTO parts VALUES (?, ?, ?, ?)', task, version, part, bytes);
}

/** Undefined where it is gone. */
export function getPart(
  connection: Connection,
  task: SqliteValue,
  version: number,
  part: number,
): Uint8Array | undefined {
  const row = connection.get(
    'SELECT bytes FROM parts WHERE task = ? AND version = ? AND part = ?',
    task,
    version,
    part,
  );
  return row?.['bytes'] as Uint8Array | undefined;
}

/** Removes some of what is kept beside a row; false where nothing is left. */
export function dropParts(connection: Connection, task: SqliteValue): boolean {
  const some = 'SELECT rowid FROM parts WHERE task = ? LIMIT 4';
  return connection.run(`DELETE FROM parts WHERE rowid IN (${some})`, task) > 0;
}
