import { execFile, type ChildProcess } from 'node:child_process';
import { statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { kill } from './kill.ts';
import type { Connection } from './sqlite-connection.ts';

const SCRIPT = fileURLToPath(new URL('./sqlite-checkpoint.js', import.meta.url));

/** Above the size to which SQLite cuts the log when it begins it anew. */
const LARGE = 8 * 1024 * 1024;
/** After which it is looked at again: somebody may read for long, or the process not have been able to do it. */
const PAUSE_MS = 1000;
const FAILED_PAUSE_MS = 60_000;

/** Pages in the log after which whoever commits copies it into the file: small steps. */
export const CHECKPOINT_PAGES = 100;

/**
 * Sees to it that no commit copies a large log into the file: that would hold the event loop. While another process
 * reads, for a backup say, what is written after that stays in the log, and the first commit after it copies it all;
 * where it has become large, a process beside this one does.
 */
export class LargeLog {
  readonly #connection: Connection;
  readonly #path: string;
  #child: ChildProcess | undefined;
  /** The log is the process's. */
  #isLarge = false;
  #pausedUntil = 0;
  #isStopped = false;

  constructor(connection: Connection) {
    this.#connection = connection;
    this.#path = `${connection.path}-wal`;
  }

  /** Something is being written. */
  look(): void {
    if (this.#isStopped || (this.#child === undefined && performance.now() < this.#pausedUntil)) return;
    const isLarge = (statSync(this.#path, { throwIfNoEntry: false })?.size ?? 0) > LARGE;
    if (isLarge === this.#isLarge) return;
    this.#setLarge(isLarge);
    if (!isLarge) return;
    const { path } = this.#connection;
    this.#child ??= execFile(process.execPath, [SCRIPT, path], (error) => this.#ended(error));
  }

  /** Resolves when the process has ended. */
  stop(): Promise<void> {
    this.#isStopped = true;
    return this.#child === undefined ? Promise.resolve() : kill(this.#child);
  }

  #ended(error: Error | null): void {
    this.#child = undefined;
    if (this.#isStopped) return;
    this.#pausedUntil = performance.now() + (error === null ? PAUSE_MS : FAILED_PAUSE_MS);
    this.#setLarge(false);
  }

  #setLarge(isLarge: boolean): void {
    this.#isLarge = isLarge;
    this.#connection.exec(`PRAGMA wal_autocheckpoint = ${isLarge ? 0 : CHECKPOINT_PAGES}`);
  }
}
