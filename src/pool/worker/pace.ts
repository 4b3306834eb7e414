const LEAST_PAUSE_MS = 50;

/**
 * Lets something be sent at most 20 times a second, however often it is due, and the last time always.
 * A loop that never awaits is served by the clock, when something is due the next time; any other by a timer.
 */
export class Pace {
  readonly #send: () => void;
  #sentAt = -Infinity;
  #timer: NodeJS.Timeout | undefined;

  constructor(send: () => void) {
    this.#send = send;
  }

  /** Says that there is something to send. */
  due(): void {
    const pause = this.#sentAt + LEAST_PAUSE_MS - performance.now();
    if (pause <= 0) this.now();
    else this.#timer ??= setTimeout(() => this.now(), pause);
  }

  /** Sends at once. */
  now(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#sentAt = performance.now();
    this.#send();
  }
}
