import { Admission, type Limits } from './admission.ts';
import type { Log } from './log.ts';
import { Scheduler } from './scheduler.ts';
import type { Lane, Task } from './task.ts';

type Queued = Pick<Task, 'taskId' | 'owner' | 'call'>;

/** The tasks that wait for a thread: who may join them, who is next, and who has to let others go first. */
export class Queue {
  readonly #scheduler = new Scheduler();
  readonly #admission: Admission;

  constructor(limits: Limits, log: Log) {
    this.#admission = new Admission(limits, log);
  }

  /** How many wait. */
  get size(): number {
    return this.#scheduler.size;
  }

  /**
   * @param room for how many there is a thread
   * @throws {RefusedError} when too many wait already
   */
  enter({ owner, call }: Omit<Queued, 'taskId'>, room: number): void {
    this.#admission.enter(owner, call.tool, {
      room,
      ahead: () => this.#scheduler.aheadOfNext(call.lane, owner),
    });
  }

  /** Lets a task in that was let in before. */
  readmit(owner: string): void {
    this.#admission.readmit(owner);
  }

  push(task: Queued): void {
    this.#scheduler.push(waiting(task));
  }

  remove(task: Queued): void {
    this.#scheduler.remove(waiting(task));
  }

  /** Takes the task that starts next out. */
  next(lane: Lane): string | undefined {
    return this.#scheduler.next(lane);
  }

  /** How many start before this one; undefined where it is not in the queue. */
  ahead(task: Queued): number | undefined {
    return this.#scheduler.ahead(waiting(task));
  }

  /** Says that a task of the owner's runs. */
  started(owner: string): void {
    if (this.#admission.started(owner)) this.#scheduler.hold(owner);
  }

  /** Says that one that ran waits again; true when another of the owner's may run now that could not before. */
  stopped(owner: string): boolean {
    return this.#release(owner, this.#admission.stopped(owner));
  }

  /** Says that one has ended; true when another of the owner's may run now that could not before. */
  left(owner: string, hadStarted: boolean): boolean {
    return this.#release(owner, this.#admission.left(owner, hadStarted));
  }

  #release(owner: string, wasFull: boolean): boolean {
    if (wasFull) this.#scheduler.release(owner);
    return wasFull;
  }
}

function waiting({ taskId, owner, call: { lane } }: Queued) {
  return { taskId, owner, lane };
}
