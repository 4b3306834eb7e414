import type {
  SqliteDatabase,
  SqliteDriver,
  SqliteRow,
  SqliteStatement,
  SqliteValue,
} from './sqlite-driver.ts';

/** An open database that keeps the statements it has prepared. */
export class Connection {
  readonly driver: SqliteDriver;
  readonly path: string;
  /** Run whenever it has been opened. */
  readonly #settings: string;
  #database: SqliteDatabase;
  readonly #statements = new Map<string, SqliteStatement>();

  /** @param settings PRAGMAs of a connection */
  constructor(driver: SqliteDriver, path: string, settings: string) {
    this.driver = driver;
    this.path = path;
    this.#settings = settings;
    this.#database = this.#open();
  }

  exec(sql: string): void {
    this.#database.exec(sql);
  }

  /** Gives how many rows were changed. */
  run(sql: string, ...parameters: SqliteValue[]): number {
    return Number(this.#prepare(sql).run(...parameters).changes);
  }

  get(sql: string, ...parameters: SqliteValue[]): SqliteRow | undefined {
    return this.#prepare(sql).get(...parameters);
  }

  all(sql: string, ...parameters: SqliteValue[]): SqliteRow[] {
    return this.#prepare(sql).all(...parameters);
  }

  /** The only value of the only row. */
  value(sql: string, ...parameters: SqliteValue[]): SqliteValue {
    return Object.values(this.get(sql, ...parameters) ?? {})[0] ?? null;
  }

  /** Opens it anew, after an error that the old handle may not get over. Where that fails, the old one stays. */
  reopen(): void {
    const fresh = this.#open();
    this.close();
    this.#database = fresh;
  }

  /**
   * Empties the log into the file, and closes it. SQLite does the former by itself when the last connection ends, but with
   * @photostructure/sqlite that is when the statements have been collected as garbage.
   */
  finish(): void {
    try {
      this.get('PRAGMA wal_checkpoint(TRUNCATE)');
    } catch {
      // It stays in the log.
    }
    this.close();
  }

  close(): void {
    this.#statements.clear();
    this.#database.close();
  }

  #open(): SqliteDatabase {
    const database = new this.driver.DatabaseSync(this.path);
    try {
      database.exec(this.#settings);
      return database;
    } catch (error) {
      database.close();
      throw error;
    }
  }

  #prepare(sql: string): SqliteStatement {
    let statement = this.#statements.get(sql);
    if (statement === undefined) {
      statement = this.#database.prepare(sql);
      this.#statements.set(sql, statement);
    }
    return statement;
  }
}
