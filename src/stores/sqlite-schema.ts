import type { Connection } from './sqlite-connection.ts';

/** In the header of every file of this program: `MCPT`. */
export const APPLICATION_ID = 0x4d435054;

/**
 * Each makes the next schema of the one before, and says so in `user_version`; all of one or nothing. A migration
 * that was released is never changed.
 *
 * The instance of a task is the server that may change it: one of `instances`, one that is there no longer, or NULL
 * once the task has ended.
 */
const MIGRATIONS: readonly string[] = [
  `
  CREATE TABLE meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;

  CREATE TABLE instances (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    host TEXT NOT NULL,
    pid INTEGER NOT NULL,
    process_start TEXT NOT NULL,
    beat INTEGER NOT NULL
  ) STRICT;

  CREATE TABLE tasks (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    task_id TEXT NOT NULL UNIQUE,
    owner TEXT NOT NULL,
    idempotency_key TEXT,
    state TEXT NOT NULL,
    instance INTEGER,
    expires_at INTEGER NOT NULL,
    ended_at INTEGER,
    record TEXT NOT NULL,
    call TEXT NOT NULL,
    result TEXT
  ) STRICT;
  CREATE INDEX tasks_by_owner ON tasks (owner);
  CREATE INDEX tasks_by_key ON tasks (owner, idempotency_key) WHERE idempotency_key IS NOT NULL;
  CREATE INDEX tasks_by_expiry ON tasks (instance, expires_at);
  CREATE INDEX tasks_open ON tasks (instance) WHERE ended_at IS NULL;
  `,
  `
  CREATE TABLE parts (
    task INTEGER NOT NULL REFERENCES tasks (sequence) ON DELETE CASCADE,
    version INTEGER NOT NULL,
    part INTEGER NOT NULL,
    bytes BLOB NOT NULL,
    PRIMARY KEY (task, version, part)
  ) STRICT;

  CREATE TABLE letters (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    task INTEGER NOT NULL REFERENCES tasks (sequence) ON DELETE CASCADE,
    wish TEXT NOT NULL
  ) STRICT;
  CREATE INDEX letters_by_task ON letters (task);

  CREATE INDEX tasks_ended ON tasks (ended_at) WHERE ended_at IS NOT NULL;

  INSERT INTO meta SELECT 'tasks', count(*) FROM tasks;
  CREATE TRIGGER task_created AFTER INSERT ON tasks BEGIN
    UPDATE meta SET value = value + 1 WHERE name = 'tasks';
  END;
  CREATE TRIGGER task_removed AFTER DELETE ON tasks BEGIN
    UPDATE meta SET value = value - 1 WHERE name = 'tasks';
  END;
  `,
];

/** The newest schema that this program knows. */
export const SCHEMA_VERSION = MIGRATIONS.length;

/** The schema of the file; 0 where it has none. */
export function schemaVersion(connection: Connection): number {
  return Number(connection.value('PRAGMA user_version'));
}

/**
 * Brings the file to a schema, one migration a transaction. Another process may do the same.
 * @param target default: the newest
 */
export function migrate(connection: Connection, target: number = SCHEMA_VERSION): void {
  while (schemaVersion(connection) < target) {
    connection.exec('BEGIN IMMEDIATE');
    try {
      // Only now is it certain that nobody else has done it.
      const version = schemaVersion(connection);
      if (version < target) {
        connection.exec(MIGRATIONS[version]!);
        connection.exec(`PRAGMA application_id = ${APPLICATION_ID}; PRAGMA user_version = ${version + 1}`);
      }
      connection.exec('COMMIT');
    } catch (error) {
      rollBack(connection);
      throw error;
    }
  }
}

/** Some errors have rolled back already. */
export function rollBack(connection: Connection): void {
  try {
    connection.exec('ROLLBACK');
  } catch {
    // There is no transaction any more.
  }
}
