import { RefusedError } from '../errors.ts';
import type { Log } from './log.ts';

export interface Limits {
  /** Tasks and calls that wait for a thread, of all owners together. */
  readonly maxQueued: number;
  readonly maxQueuedPerOwner: number;
  /** More of one owner's wait, though there be room. */
  readonly maxRunningPerOwner: number;
}

interface Counts {
  queued: number;
  running: number;
}

/** What a refusal says besides its reason. */
interface Situation {
  /** How many of those that wait are about to start, as there is room for them. */
  readonly room: number;
  /** How many would start before the one that asks to be let in. */
  readonly ahead: () => number;
}

const LEAST_RETRY_MS = 100;
const LONGEST_RETRY_MS = 60_000;
/** Until it is known how fast tasks end. */
const FIRST_RETRY_MS = 1000;
/** How much the last interval between two ends counts against those before it. */
const WEIGHT = 0.1;

/** Counts what waits and what runs, and refuses what is beyond a limit. */
export class Admission {
  readonly #limits: Limits;
  readonly #log: Log;
  readonly #owners = new Map<string, Counts>();
  #queued = 0;
  #endedAt: number | undefined;
  /** The mean time between two ends. */
  #intervalMs: number | undefined;

  constructor(limits: Limits, log: Log) {
    this.#limits = limits;
    this.#log = log;
  }

  /** @throws {RefusedError} when too many wait already */
  enter(owner: string, tool: string, { room, ahead }: Situation): void {
    const counts = this.#owners.get(owner) ?? { queued: 0, running: 0 };
    const { maxQueued, maxQueuedPerOwner } = this.#limits;
    if (this.#queued - room >= maxQueued) throw this.#refuse(owner, tool, 'in all', maxQueued, ahead());
    if (counts.queued - room >= maxQueuedPerOwner)
      throw this.#refuse(owner, tool, 'of yours', maxQueuedPerOwner, ahead());
    this.readmit(owner);
  }

  /** Lets one in without asking: it was let in before. */
  readmit(owner: string): void {
    const counts = this.#owners.get(owner) ?? { queued: 0, running: 0 };
    counts.queued++;
    this.#queued++;
    this.#owners.set(owner, counts);
  }

  /** Says that one has started; true when the owner may have no more running. */
  started(owner: string): boolean {
    const counts = this.#owners.get(owner)!;
    counts.queued--;
    this.#queued--;
    return ++counts.running === this.#limits.maxRunningPerOwner;
  }

  /** Says that one which had started waits again; true when the owner may have one more running again. */
  stopped(owner: string): boolean {
    const counts = this.#owners.get(owner)!;
    counts.queued++;
    this.#queued++;
    return counts.running-- === this.#limits.maxRunningPerOwner;
  }

  /** Says that one has ended; true when the owner may have one more running again. */
  left(owner: string, hadStarted: boolean): boolean {
    const counts = this.#owners.get(owner)!;
    const wasFull = counts.running === this.#limits.maxRunningPerOwner;
    if (hadStarted) counts.running--;
    else {
      counts.queued--;
      this.#queued--;
    }
    // Owners who have nothing here any more must not gather.
    if (counts.queued + counts.running === 0) this.#owners.delete(owner);
    const now = performance.now();
    const interval = now - (this.#endedAt ?? now);
    this.#intervalMs = this.#intervalMs === undefined ? interval : mean(this.#intervalMs, interval);
    this.#endedAt = now;
    return hadStarted && wasFull;
  }

  #refuse(owner: string, tool: string, whose: string, limit: number, ahead: number): RefusedError {
    const expectedMs = this.#intervalMs === undefined ? FIRST_RETRY_MS : Math.ceil(this.#intervalMs);
    const retryAfterMs = Math.min(Math.max(expectedMs, LEAST_RETRY_MS), LONGEST_RETRY_MS);
    this.#log.warn({ owner, tool, ahead, limit }, 'call refused: too many wait');
    return new RefusedError(
      `Too many tasks wait: ${limit} ${whose} may; ${ahead} are ahead, try again in ${retryAfterMs} ms`,
      { ahead, limit, retryAfterMs },
    );
  }
}

function mean(before: number, last: number): number {
  return before + WEIGHT * (last - before);
}
