/** Tells the time by which tasks expire, in milliseconds since the epoch. */
export interface Clock {
  now(): number;
}

/**
 * A clock that runs evenly: when the machine's is set, by an hour say, it goes on as before. Otherwise all tasks
 * would expire at once, or none for an hour.
 */
export class SteadyClock implements Clock {
  readonly #base: number;

  /** @param offsetMs how far the machine's clock is ahead of it */
  constructor(offsetMs = 0) {
    this.#base = Date.now() - offsetMs - performance.now();
  }

  now(): number {
    return Math.floor(this.#base + performance.now());
  }

  /** How far the machine's clock is ahead by now: what it has been set by. */
  get offsetMs(): number {
    return Date.now() - this.now();
  }
}
