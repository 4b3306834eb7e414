import { accessSync, closeSync, constants, mkdirSync, openSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { StoreError } from '../errors.ts';
import { Connection } from './sqlite-connection.ts';
import type { SqliteDriver } from './sqlite-driver.ts';
import { faultOf, oneLine } from './sqlite-errors.ts';
import { untilUnlocked } from './sqlite-lock.ts';
import { CHECKPOINT_PAGES } from './sqlite-log.ts';
import { APPLICATION_ID, SCHEMA_VERSION, migrate, rollBack, schemaVersion } from './sqlite-schema.ts';

export type Synchronous = 'full' | 'normal';

/**
 * The size up to which a file is read whole before it is used: some 20 ms where the system has it in memory, and 0.2 s
 * where it comes from a slow disk. Reading more would be too long to wait for, and is done beside its use.
 */
const CHECKED_AT_ONCE = 16 * 1024 * 1024;

/**
 * Opens the file, makes it where there is none, and brings its schema up to date. A file that is another program's,
 * a newer one's or damaged is left as it is.
 * @throws {StoreError} when it cannot be used, with the path and what to do
 */
export async function openFile(
  driver: SqliteDriver,
  path: string,
  synchronous: Synchronous,
): Promise<{ connection: Connection; isChecked: boolean }> {
  prepareFile(path);
  const isChecked = statSync(path).size <= CHECKED_AT_ONCE;
  let connection: Connection | undefined;
  try {
    const isSeen = await look(driver, path, isChecked);
    const opened = await untilUnlocked(() => new Connection(driver, path, settings(synchronous)));
    connection = opened;
    await untilUnlocked(() => {
      // Somebody else may have made it what it is only now.
      const isNew = check(opened, isChecked && !isSeen);
      if (isNew) opened.exec('PRAGMA auto_vacuum = INCREMENTAL');
      if (opened.value('PRAGMA journal_mode = WAL') !== 'wal') {
        throw new StoreError(
          `${path}: its file system cannot share a store between processes: use a local disk`,
        );
      }
      migrate(opened);
    });
    return { connection, isChecked };
  } catch (error) {
    connection?.close();
    throw error instanceof StoreError ? error : refused(path, error);
  }
}

/**
 * Refuses a file before anything can be written to it: who opens one to write, and is the last to close it, empties its
 * log into it.
 * @returns false where that cannot be: SQLite has to undo first what a process has left half written
 */
async function look(driver: SqliteDriver, path: string, isChecked: boolean): Promise<boolean> {
  let connection: Connection | undefined;
  try {
    const opened = await untilUnlocked(() => new Connection(driver, path, '', { readOnly: true }));
    connection = opened;
    await untilUnlocked(() => check(opened, isChecked));
    return true;
  } catch (error) {
    if (faultOf(error) !== 'unavailable') throw error;
    return false;
  } finally {
    connection?.close();
  }
}

/** Gives whether there is nothing in it yet. */
function check(connection: Connection, withPages: boolean): boolean {
  const isNew = checkOwner(connection);
  if (withPages && !isNew) checkPages(connection);
  return isNew;
}

function settings(synchronous: Synchronous): string {
  return [
    // A wait in SQLite would hold the event loop.
    'busy_timeout = 0',
    'foreign_keys = ON',
    `synchronous = ${synchronous}`,
    // Small steps: whoever commits copies the pages of the log into the file, which takes some 50 µs each.
    `wal_autocheckpoint = ${CHECKPOINT_PAGES}`,
    'journal_size_limit = 4194304',
    'cache_size = -16384',
  ]
    .map((setting) => `PRAGMA ${setting};`)
    .join('');
}

function prepareFile(path: string): void {
  const folder = dirname(path);
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    makeFile(path);
    if (!statSync(path).isFile()) throw new StoreError(`${path}: is no file: name a file for the store`);
    accessSync(path, constants.R_OK | constants.W_OK);
    // Beside it SQLite keeps its log.
    accessSync(folder, constants.W_OK | constants.X_OK);
  } catch (error) {
    if (error instanceof StoreError) throw error;
    const { message } = error as Error;
    throw new StoreError(
      `${path}: the store's file, and its folder, must be readable and writable, and the disk not full: ${message}`,
      { cause: error },
    );
  }
}

/** Its log gets the same mode from SQLite. */
function makeFile(path: string): void {
  try {
    closeSync(openSync(path, 'wx', 0o600));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
}

/** Gives whether there is nothing in it yet. */
function checkOwner(connection: Connection): boolean {
  const { path } = connection;
  const { application, version, count } = readOwner(connection);
  if (application === APPLICATION_ID) {
    if (version <= SCHEMA_VERSION) return false;
    throw new StoreError(
      `${path}: was written by a newer mcp-taskpool (schema ${version}; this one knows ${SCHEMA_VERSION}): ` +
        'use that version, or name another file',
    );
  }
  if (application !== 0 || version !== 0 || count !== 0) {
    throw new StoreError(`${path}: is the database of another program: name another file`);
  }
  return true;
}

/** As it is at one moment: another process may be making it what it is. */
function readOwner(connection: Connection) {
  connection.exec('BEGIN');
  try {
    const application = connection.value('PRAGMA application_id');
    const version = schemaVersion(connection);
    return { application, version, count: connection.value('SELECT count(*) FROM sqlite_schema') };
  } finally {
    rollBack(connection);
  }
}

function checkPages(connection: Connection): void {
  const found = connection.value('PRAGMA quick_check(1)');
  if (found !== 'ok') throw new StoreError(damagedFile(connection.path, String(found)));
}

function damagedFile(path: string, found: string): string {
  return (
    `${path}: is damaged (${oneLine(found)}). Restore it from a backup; or move it away, with the files beside it that are ` +
    'named like it and end in -wal and -shm, to begin with an empty store'
  );
}

function refused(path: string, error: unknown): StoreError {
  const { message } = error as Error;
  const options = { cause: error };
  switch (faultOf(error)) {
    case 'damaged':
      return message.includes('not a database')
        ? new StoreError(`${path}: is no SQLite database: name another file, or move it away`, options)
        : new StoreError(damagedFile(path, message), options);
    case 'busy':
      return new StoreError(`${path}: is locked by another process: end it, or name another file`, options);
    case 'full':
      return new StoreError(`${path}: the disk is full: make room on it, or name another file`, options);
    case 'unavailable':
    case 'constraint':
    case 'statement':
      return new StoreError(`${path}: cannot be used: ${message}`, options);
  }
}
