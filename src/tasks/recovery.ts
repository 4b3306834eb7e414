import { afterServerEnd, interrupted } from './again.ts';
import type { Elsewhere } from './elsewhere.ts';
import type { Lifecycle } from './lifecycle.ts';
import type { Live } from './live.ts';
import type { Log } from './log.ts';
import type { Letter, TaskStore } from './store.ts';
import type { Sweeper } from './sweeper.ts';
import type { Call, Task } from './task.ts';

export interface RecoveryOptions {
  readonly store: TaskStore;
  readonly log: Log;
  /** A call of another server as it is to be made now; undefined where its tool is no longer there. Default: as it was. */
  readonly renew?: (call: Call) => Call | undefined;
}

/** Takes over what servers of the same store leave that have gone, and does what those that live want of our tasks. */
export class Recovery {
  readonly #options: RecoveryOptions;
  readonly #lifecycle: Lifecycle;
  readonly #elsewhere: Elsewhere;
  readonly #sweeper: Sweeper;
  #isClosed = false;
  /** One at a time. */
  #claiming: Promise<void> = Promise.resolve();
  #reading: Promise<void> = Promise.resolve();

  constructor(options: RecoveryOptions, lifecycle: Lifecycle, elsewhere: Elsewhere, sweeper: Sweeper) {
    this.#options = options;
    this.#lifecycle = lifecycle;
    this.#elsewhere = elsewhere;
    this.#sweeper = sweeper;
  }

  /**
   * Takes over what there is now, and from now on. Resolves when the first is done.
   * @param lost is called when this server was taken for dead, and its tasks were taken over
   */
  async start(lost: () => void): Promise<void> {
    const { store, log } = this.#options;
    if (store.shared === undefined) return;
    await this.#claim();
    this.#sweeper.start();
    store.shared.watch({
      gone: () => void this.#claim(),
      changed: () => {
        this.#elsewhere.look();
        void this.readLetters();
      },
      lost: () => {
        log.warn({}, 'this server was taken for dead, and its tasks were taken over by another');
        lost();
      },
    });
  }

  /** Does what is wanted of the tasks that run here. */
  readLetters(): Promise<void> {
    this.#reading = this.#reading.then(() => this.#read());
    return this.#reading;
  }

  async #read(): Promise<void> {
    const { store, log } = this.#options;
    const { shared } = store;
    if (shared === undefined) return;
    try {
      for (;;) {
        const read = (await shared.letters()).flatMap((letter) => {
          const live = this.#lifecycle.get(letter.taskId);
          // It may still be being taken over; then they are read once it is.
          return live === undefined ? [] : [{ letter, live }];
        });
        if (read.length === 0) return;
        for (const { letter, live } of read) this.#do(letter, live);
        await Promise.all(read.map(({ live }) => live.writes));
        await shared.done(read.map(({ letter }) => letter));
      }
    } catch (error) {
      log.error({ err: error }, 'what is wanted of tasks could not be read; it is tried again');
    }
  }

  /** Doing it again changes nothing: a server that is killed before it is said to be done leaves it to the next. */
  #do({ wish }: Letter, live: Live): void {
    if (wish.type === 'cancel') this.#lifecycle.end(live, { type: 'cancelled' });
    else live.questions.find(({ key }) => key === wish.key)?.answer(wish.answer);
  }

  /** Takes over nothing more. */
  close(): void {
    this.#isClosed = true;
  }

  #claim(): Promise<void> {
    const { store, log } = this.#options;
    const claim = async () => {
      try {
        while (!this.#isClosed) {
          const tasks = await store.shared!.claim();
          if (tasks.length === 0) break;
          for (const task of tasks) this.#adopt(task);
        }
        await this.readLetters();
      } catch (error) {
        log.error(
          { err: error },
          'tasks of a server that has gone could not be taken over; it is tried again',
        );
      }
    };
    this.#claiming = this.#claiming.then(claim);
    return this.#claiming;
  }

  /** Goes on with a task of a server that has gone. */
  #adopt(found: Task): void {
    const { store, log, renew = (call) => call } = this.#options;
    const { taskId, owner, state } = found;
    this.#sweeper.expect(found.expiresAt);
    // The sweeper takes it, or the next server.
    if (this.#isClosed || found.expiresAt <= store.clock.now()) return;
    const call = renew(found.call);
    const live = this.#lifecycle.readmit(call === undefined ? found : { ...found, call }, found);
    live.observers = this.#elsewhere.take(taskId);
    log.info({ taskId, owner, state }, 'task taken over');
    if (call === undefined) {
      this.#lifecycle.end(live, interrupted(`the server no longer has a tool ${found.call.tool}`));
    } else if (state === 'queued') this.#lifecycle.enqueue(live);
    else if (state === 'input_required') this.#lifecycle.restoreQuestions(live);
    else {
      const next = afterServerEnd(live.task);
      if ('type' in next) this.#lifecycle.end(live, next);
      else this.#lifecycle.again(live, next);
    }
  }
}
