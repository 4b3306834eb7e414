import { StoreError } from '../errors.ts';

export type SqliteValue = null | number | string | Uint8Array;

export type SqliteRow = Readonly<Record<string, SqliteValue>>;

/** What is used of a `StatementSync` of node:sqlite. */
export interface SqliteStatement {
  run(...parameters: SqliteValue[]): { changes: number | bigint; lastInsertRowid: number | bigint };
  get(...parameters: SqliteValue[]): SqliteRow | undefined;
  all(...parameters: SqliteValue[]): SqliteRow[];
}

/** What is used of a `DatabaseSync` of node:sqlite. */
export interface SqliteDatabase {
  exec(sql: string): void;
  prepare(sql: string): SqliteStatement;
  close(): void;
}

export interface SqliteDriver {
  readonly name: 'node:sqlite' | '@photostructure/sqlite';
  readonly DatabaseSync: new (path: string, options?: { readOnly?: boolean }) => SqliteDatabase;
}

/**
 * The SQLite of this Node (22.13 and newer), or else of the optional dependency.
 * @throws {StoreError} where there is neither
 */
export async function loadDriver(): Promise<SqliteDriver> {
  const builtIn = withoutExperimentalWarning(() => process.getBuiltinModule('node:sqlite'));
  if (builtIn !== undefined) return { name: 'node:sqlite', ...(builtIn as Module) };
  try {
    const { DatabaseSync } = (await import('@photostructure/sqlite')) as unknown as Module;
    return { name: '@photostructure/sqlite', DatabaseSync };
  } catch (error) {
    throw new StoreError(
      `This Node (${process.version}) has no SQLite, and the package @photostructure/sqlite cannot be loaded: ` +
        'install it, use Node 22.13 or newer, or keep tasks in memory',
      { cause: error },
    );
  }
}

type Module = Pick<SqliteDriver, 'DatabaseSync'>;

/** Node says of its SQLite that it may change; whoever runs a server can do nothing about that. Loading is synchronous. */
function withoutExperimentalWarning<T>(load: () => T): T {
  const emitWarning: typeof process.emitWarning = Reflect.get(process, 'emitWarning');
  process.emitWarning = (...said: unknown[]) => {
    if (said[1] !== 'ExperimentalWarning') Reflect.apply(emitWarning, process, said);
  };
  try {
    return load();
  } finally {
    process.emitWarning = emitWarning;
  }
}
