import type { Attempt, RunHooks, Runner } from '../src/tasks/runner.ts';
import type { Call, Lane, Outcome } from '../src/tasks/task.ts';

/** It runs nothing until it is opened. */
export interface OpenRunner extends Runner {
  open(): void;
}

const NOTHING: Outcome = { type: 'result', result: { content: [] }, isError: false };

/** Places where calls end as soon as they have begun. Closed at first. */
export class InstantRunner implements OpenRunner {
  onRoom: (lane: Lane) => void = () => {};
  readonly #places: number;
  readonly #outcomeOf: (call: Call) => Outcome;
  #free = 0;

  /**
   * @param places    how many calls run at once
   * @param outcomeOf what a call gives
   */
  constructor(places = 1, outcomeOf: (call: Call) => Outcome = () => NOTHING) {
    this.#places = places;
    this.#outcomeOf = outcomeOf;
  }

  refusal(): undefined {}

  room(): number {
    return this.#free;
  }

  open(): void {
    this.#free = this.#places;
    this.onRoom('cpu');
  }

  start(_taskId: string, call: Call, _attempt: Attempt, hooks: RunHooks) {
    this.#free--;
    queueMicrotask(() => {
      hooks.finished(this.#outcomeOf(call));
      hooks.left();
      this.#free++;
      this.onRoom('cpu');
    });
    return { thread: 1, stop: () => {} };
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}
