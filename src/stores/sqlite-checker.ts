import { execFile, type ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Log } from '../tasks/log.ts';
import { kill } from './kill.ts';

const SCRIPT = fileURLToPath(new URL('./sqlite-check.js', import.meta.url));

/** Reads a file that is too large to be checked before it is used, beside its use, in a process of its own. */
export class Checker {
  readonly #child: ChildProcess;
  #isStopped = false;

  /** @param damaged is called with what was found, where the file is damaged */
  constructor(path: string, log: Log, damaged: (found: string) => void) {
    this.#child = execFile(process.execPath, [SCRIPT, path], (error, stdout, stderr) => {
      if (this.#isStopped) return;
      if (stdout !== '') damaged(stdout);
      else if (error !== null)
        log.warn({ err: error, path, stderr }, 'the store could not be checked for damage');
    });
  }

  /** Resolves when it has ended. */
  stop(): Promise<void> {
    this.#isStopped = true;
    return kill(this.#child);
  }
}
