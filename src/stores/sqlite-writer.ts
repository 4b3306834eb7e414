import type { StoreUnavailableError } from '../errors.ts';
import type { Connection } from './sqlite-connection.ts';
import { damaged, faultOf, unavailable } from './sqlite-errors.ts';
import { LONGEST_LOCK_MS } from './sqlite-lock.ts';
import { rollBack } from './sqlite-schema.ts';

/** What one transaction takes at most, so that the event loop is not held for longer than it takes. */
const MOST_OPERATIONS = 64;
const MOST_BYTES = 512 * 1024;
const MOST_MS = 3;

interface Operation {
  readonly run: (connection: Connection) => unknown;
  readonly bytes: number;
  readonly since: number;
  readonly resolve: (value: never) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Writes in groups: one transaction for all that wait when the event loop comes round. What was written is told once
 * it is on the disk.
 *
 *     idle ──write──> scheduled ──> commit ──> idle | scheduled
 *                         ^            └─ locked by another process: again in a few ms
 *                         └───────────────┘
 */
export class Writer {
  readonly #connection: Connection;
  /** Runs in each transaction, before its end, and gives what is to be done once that is on the disk. */
  readonly #last: (connection: Connection) => () => void;
  #waiting: Operation[] = [];
  /** Undefined while nothing waits. */
  #scheduled: NodeJS.Immediate | NodeJS.Timeout | undefined;
  #isLocked = false;
  #isSuspect = false;
  #refusal: StoreUnavailableError | undefined;
  #idle: () => void = () => {};

  constructor(connection: Connection, last: (connection: Connection) => () => void) {
    this.#connection = connection;
    this.#last = last;
  }

  /**
   * Runs statements in the next transaction.
   * @param run   what is thrown in it is for its caller alone: its first statement must be the only one that can fail
   * @param bytes about how much it writes
   * @returns what `run` gives, once it is on the disk
   * @throws {StoreUnavailableError} when nothing can be written now; none of it was
   */
  write<T>(run: (connection: Connection) => T, bytes = 0): Promise<T> {
    if (this.#refusal !== undefined) return Promise.reject(this.#refusal);
    return new Promise<T>((resolve, reject) => {
      this.#waiting.push({ run, bytes, since: performance.now(), resolve, reject });
      this.#scheduled ??= setImmediate(() => this.#commit());
    });
  }

  /** Refuses all from now on. */
  refuse(error: StoreUnavailableError): void {
    this.#refusal = error;
    for (const { reject } of this.#waiting.splice(0)) reject(error);
  }

  /** Resolves when nothing waits. */
  idle(): Promise<void> {
    if (this.#scheduled === undefined) return Promise.resolve();
    return new Promise((resolve) => (this.#idle = resolve));
  }

  #commit(): void {
    const batch = this.#batch();
    this.#isLocked = false;
    if (batch.length > 0) this.#attempt(batch, true);
    if (this.#waiting.length === 0) {
      this.#scheduled = undefined;
      this.#idle();
      return;
    }
    this.#scheduled = this.#isLocked
      ? setTimeout(() => this.#commit(), 1 + Math.random() * 4)
      : setImmediate(() => this.#commit());
  }

  #batch(): Operation[] {
    let bytes = 0;
    let count = 0;
    while (count < this.#waiting.length && count < MOST_OPERATIONS) {
      bytes += this.#waiting[count]!.bytes;
      if (count > 0 && bytes > MOST_BYTES) break;
      count++;
    }
    return this.#waiting.splice(0, count);
  }

  /** @param mayMakeRoom whether to try again with an emptied log where the disk is full */
  #attempt(batch: readonly Operation[], mayMakeRoom: boolean): void {
    const settled: (() => void)[] = [];
    let taken = 0;
    try {
      this.#connection.checkFile();
      if (this.#isSuspect) this.#connection.reopen();
      this.#isSuspect = false;
      this.#connection.exec('BEGIN IMMEDIATE');
      const from = performance.now();
      while (taken < batch.length && (taken === 0 || performance.now() - from < MOST_MS)) {
        settled.push(this.#run(batch[taken]!));
        taken++;
      }
      settled.push(this.#last(this.#connection));
      this.#connection.exec('COMMIT');
    } catch (error) {
      rollBack(this.#connection);
      this.#failed(batch, error, mayMakeRoom);
      return;
    }
    this.#waiting.unshift(...batch.slice(taken));
    for (const settle of settled) settle();
  }

  /** Gives what is to be said once it is on the disk. */
  #run({ run, resolve, reject }: Operation): () => void {
    try {
      const value = run(this.#connection) as never;
      return () => resolve(value);
    } catch (error) {
      const fault = faultOf(error);
      if (fault !== 'constraint' && fault !== 'statement') throw error;
      return () => reject(error);
    }
  }

  #failed(batch: readonly Operation[], error: unknown, mayMakeRoom: boolean): void {
    const { path } = this.#connection;
    switch (faultOf(error)) {
      case 'busy': {
        this.#isLocked = true;
        const longest = performance.now() - LONGEST_LOCK_MS;
        for (const { since, reject } of batch) if (since < longest) reject(unavailable(path, error));
        this.#waiting.unshift(...batch.filter(({ since }) => since >= longest));
        return;
      }
      case 'full':
        if (mayMakeRoom && this.#emptyLog()) {
          this.#attempt(batch, false);
          return;
        }
        break;
      case 'damaged':
        this.refuse(damaged(path, (error as Error).message, error));
        break;
      case 'unavailable':
        this.#isSuspect = true;
        break;
      case 'constraint':
      case 'statement':
        break;
    }
    const reason = this.#refusal ?? (faultOf(error) === 'statement' ? error : unavailable(path, error));
    for (const { reject } of batch) reject(reason);
  }

  #emptyLog(): boolean {
    try {
      this.#connection.get('PRAGMA wal_checkpoint(TRUNCATE)');
      return true;
    } catch {
      return false;
    }
  }
}
