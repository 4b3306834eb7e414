import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { Turn } from './loop-watch.ts';
import { quantile } from './statistics.ts';
import type { Phase } from './store-load.ts';

const LOAD = fileURLToPath(new URL('./store-load.js', import.meta.url));
const CONTROL = fileURLToPath(new URL('./store-control.js', import.meta.url));
/** For so many kinds of load the bare writes go on: the longer, the more of the rare is seen. */
const AS_LONG_AS = 4;

/** What a page takes to get to the disk, but seldom. */
export const STALL_MS = 10;

/** How long the event loop was held, in milliseconds, what it waited for a core left out. */
export interface Held {
  readonly p99: number;
  readonly longest: number;
  /** The longest with the wait for a core. */
  readonly withWaiting: number;
  /** The longest that it ran, without waits for the disk. */
  readonly ran: number;
}

export interface HeldIn extends Held {
  readonly what: string;
  readonly tasks: number;
  /** The longest but for the times at which the control was held, too, for longer than {@link STALL_MS}: by the machine. */
  readonly byStore: number;
  /** The same of a process beside it, at that time, that does no more than write a page to the disk every 5 ms. */
  readonly control: Held;
}

/**
 * Gives a store in a process of its own much to do, and tells how long its event loop was held.
 * @param ms how long each kind of load lasts
 * @returns that by kind of load; and the same of a process without a store, while nothing else goes on, that asks the
 *   same of the disk by bare writes
 */
export async function measureHeld(path: string, ms: number): Promise<{ bare: Held; held: HeldIn[] }> {
  const aside = join(path, '../control');
  const alone = fork(CONTROL, ['heavy', aside]);
  await setTimeout(AS_LONG_AS * ms);
  const bare = await said<Turn[]>(alone, 'end');

  const control = fork(CONTROL, ['light', aside]);
  const phases = await said<Phase[]>(fork(LOAD, [path, String(ms)]));
  const beside = await said<Turn[]>(control, 'end');
  const held = phases.map(({ what, tasks, turns }): HeldIn => {
    const [from, to] = [turns[0]!.atMs, turns.at(-1)!.atMs];
    const meanwhile = beside.filter(({ atMs }) => atMs > from && atMs <= to);
    const stalls = meanwhile.filter((turn) => ownMs(turn) > STALL_MS);
    const rest = turns.filter((turn) => !stalls.some((stall) => overlap(turn, stall)));
    const byStore = Math.max(0, ...rest.map(ownMs));
    return { what, tasks, byStore, ...heldBy(turns), control: heldBy(meanwhile) };
  });
  return { bare: heldBy(bare), held };
}

function heldBy(turns: readonly Turn[]): Held {
  const own = turns.map(ownMs);
  return {
    p99: quantile(own, 0.99),
    longest: Math.max(...own),
    withWaiting: Math.max(...turns.map(({ ms }) => ms)),
    ran: Math.max(...turns.map(({ ranMs }) => ranMs)),
  };
}

function ownMs({ ms, waitedMs }: Turn): number {
  return ms - waitedMs;
}

function overlap(a: Turn, b: Turn): boolean {
  return a.atMs > b.atMs - b.ms && b.atMs > a.atMs - a.ms;
}

async function said<T>(child: ChildProcess, message?: string): Promise<T> {
  const exited = once(child, 'exit').then(([code]) =>
    Promise.reject(new Error(`a process of the benchmark ended with ${String(code)}`)),
  );
  if (message !== undefined) child.send(message);
  const [value] = (await Promise.race([once(child, 'message'), exited])) as [T];
  await exited.catch(() => {});
  return value;
}
