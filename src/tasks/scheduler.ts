import type { Lane } from './task.ts';

/** What waits in the queue. */
export interface Waiting {
  readonly taskId: string;
  readonly owner: string;
  readonly lane: Lane;
}

/** One owner's queue in one lane: an array read from `head`, with a hole where an entry was removed. */
interface OwnerQueue {
  readonly owner: string;
  entries: (string | undefined)[];
  head: number;
  holes: number;
}

/** Where an entry stands, so that it is removed and counted without a search. */
interface Place {
  readonly queue: OwnerQueue;
  index: number;
}

/**
 * Which queued task starts next. In each lane the owners take turns, and an owner's own tasks start
 * in the order in which they came: one owner's 10,000 do not delay another's first. An owner who is held
 * has no turns until released.
 * Every operation costs the same however many tasks wait.
 */
export class Scheduler {
  readonly #lanes: Record<Lane, LaneQueue> = { cpu: new LaneQueue(), io: new LaneQueue() };

  get size(): number {
    return this.#lanes.cpu.size + this.#lanes.io.size;
  }

  push({ taskId, owner, lane }: Waiting): void {
    this.#lanes[lane].push(taskId, owner);
  }

  /** Takes the task that starts next out of the queue. */
  next(lane: Lane): string | undefined {
    return this.#lanes[lane].next();
  }

  /** Takes a task out of the queue; false where it is not in it. */
  remove({ taskId, lane }: Waiting): boolean {
    return this.#lanes[lane].remove(taskId);
  }

  /** How many tasks start before this one, if nobody else comes; undefined where it does not wait. */
  ahead({ taskId, lane }: Waiting): number | undefined {
    return this.#lanes[lane].ahead(taskId);
  }

  /** How many tasks would start before a new one of the owner's. */
  aheadOfNext(lane: Lane, owner: string): number {
    return this.#lanes[lane].aheadOfNext(owner);
  }

  hold(owner: string): void {
    for (const lane of Object.values(this.#lanes)) lane.hold(owner);
  }

  release(owner: string): void {
    for (const lane of Object.values(this.#lanes)) lane.release(owner);
  }
}

class LaneQueue {
  readonly #places = new Map<string, Place>();
  readonly #owners = new Map<string, OwnerQueue>();
  /** Those with something in their queue, in the order of their turns; the next turn is the first's. */
  readonly #turns = new Set<OwnerQueue>();
  readonly #held = new Set<string>();

  get size(): number {
    return this.#places.size;
  }

  push(taskId: string, owner: string): void {
    let queue = this.#owners.get(owner);
    if (queue === undefined) {
      queue = { owner, entries: [], head: 0, holes: 0 };
      this.#owners.set(owner, queue);
      if (!this.#held.has(owner)) this.#turns.add(queue);
    }
    this.#places.set(taskId, { queue, index: queue.entries.push(taskId) - 1 });
  }

  next(): string | undefined {
    for (const queue of this.#turns) {
      const taskId = this.#shift(queue);
      this.#places.delete(taskId);
      this.#turns.delete(queue);
      if (count(queue) > 0) this.#turns.add(queue);
      else this.#owners.delete(queue.owner);
      return taskId;
    }
    return undefined;
  }

  remove(taskId: string): boolean {
    const place = this.#places.get(taskId);
    if (place === undefined) return false;
    const { queue, index } = place;
    this.#places.delete(taskId);
    queue.entries[index] = undefined;
    queue.holes++;
    if (count(queue) === 0) {
      this.#turns.delete(queue);
      this.#owners.delete(queue.owner);
    } else if (queue.holes > 64 && queue.holes > queue.entries.length / 2) {
      this.#compact(queue);
    }
    return true;
  }

  ahead(taskId: string): number | undefined {
    const place = this.#places.get(taskId);
    if (place === undefined) return undefined;
    const { queue, index } = place;
    return this.#ahead(queue, index - queue.head - (queue.holes === 0 ? 0 : holesBefore(queue, index)));
  }

  aheadOfNext(owner: string): number {
    const queue = this.#owners.get(owner);
    return this.#ahead(queue, queue === undefined ? 0 : count(queue));
  }

  hold(owner: string): void {
    this.#held.add(owner);
    const queue = this.#owners.get(owner);
    if (queue !== undefined) this.#turns.delete(queue);
  }

  release(owner: string): void {
    this.#held.delete(owner);
    const queue = this.#owners.get(owner);
    if (queue !== undefined) this.#turns.add(queue);
  }

  /** How many tasks start before that which has `own` others of its queue before it. */
  #ahead(queue: OwnerQueue | undefined, own: number): number {
    // Until its own turn comes for the (own + 1)th time, each of the others has had that many
    // turns too, and those whose turn comes earlier in the round one more.
    let ahead = own;
    let earlier = true;
    for (const other of this.#turns) {
      if (other === queue) earlier = false;
      else ahead += Math.min(count(other), earlier ? own + 1 : own);
    }
    return ahead;
  }

  #shift(queue: OwnerQueue): string {
    for (;;) {
      const taskId = queue.entries[queue.head];
      queue.entries[queue.head++] = undefined;
      if (taskId === undefined) {
        queue.holes--;
        continue;
      }
      // The front of a long queue is given back in large steps, each paid for by as many shifts.
      if (queue.head > 1024 && queue.head > queue.entries.length / 2) this.#compact(queue);
      return taskId;
    }
  }

  #compact(queue: OwnerQueue): void {
    queue.entries = queue.entries.slice(queue.head).filter((taskId) => taskId !== undefined);
    queue.head = 0;
    queue.holes = 0;
    queue.entries.forEach((taskId, index) => {
      this.#places.get(taskId!)!.index = index;
    });
  }
}

function count(queue: OwnerQueue): number {
  return queue.entries.length - queue.head - queue.holes;
}

function holesBefore(queue: OwnerQueue, index: number): number {
  let holes = 0;
  for (let at = queue.head; at < index; at++) if (queue.entries[at] === undefined) holes++;
  return holes;
}
