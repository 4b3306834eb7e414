import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { Tick, ToControl } from '../fixtures/control.ts';

const ENTRY = fileURLToPath(new URL('../../dist/test/fixtures/control.js', import.meta.url));

/** A process beside the one under test, which sees what the machine does to both. */
export class Control {
  readonly #child: ChildProcess;

  constructor() {
    this.#child = fork(ENTRY);
  }

  get pid(): number {
    return this.#child.pid!;
  }

  /** Begins to watch a server's process, and this one. */
  async begin(server: number): Promise<void> {
    await this.#ask({ server, client: process.pid });
  }

  /** Ends to watch, and gives what there was to see. */
  end(): Promise<readonly Tick[]> {
    return this.#ask('end');
  }

  async close(): Promise<void> {
    this.#child.disconnect();
    if (this.#child.exitCode === null) await once(this.#child, 'exit');
  }

  async #ask(message: ToControl): Promise<readonly Tick[]> {
    this.#child.send(message);
    const [ticks] = (await once(this.#child, 'message')) as [Tick[]];
    return ticks;
  }
}
