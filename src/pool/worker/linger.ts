import { receiveMessageOnPort, type MessagePort } from 'node:worker_threads';
import type { ToThread } from '../messages.ts';

/** How long a thread that has finished a task sleeps on the next one. */
const LINGER_MS = 1;
/** How long it may go from task to task without a turn of its event loop. */
const LONGEST_BURST_MS = 20;

/**
 * Takes the next message without a turn of the event loop. To be woken from the loop's poll costs more
 * than a short task does; to be woken from a sleep in shared memory is several times as fast. The loop
 * gets its turn when no message comes within a millisecond, and after 20 ms of tasks in any case: a
 * timer or a stream that a tool has left behind is late by no more.
 */
export class Lingerer {
  readonly #port: MessagePort;
  readonly #posted: Int32Array;
  #turned = 0;

  constructor(port: MessagePort, posted: Int32Array) {
    this.#port = port;
    this.#posted = posted;
  }

  /** Says that the event loop has turned. */
  turned(): void {
    this.#turned = performance.now();
  }

  next(): ToThread | undefined {
    const now = performance.now();
    if (now - this.#turned > LONGEST_BURST_MS) return undefined;
    for (;;) {
      const posted = Atomics.load(this.#posted, 0);
      const received = receiveMessageOnPort(this.#port);
      if (received !== undefined) return received.message as ToThread;
      const pause = now + LINGER_MS - performance.now();
      if (pause <= 0 || Atomics.wait(this.#posted, 0, posted, pause) === 'timed-out') return undefined;
    }
  }
}
