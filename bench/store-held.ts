import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { Turn } from './loop-watch.ts';
import { quantile } from './statistics.ts';
import type { Phase } from './store-load.ts';

const LOAD = fileURLToPath(new URL('./store-load.js', import.meta.url));

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
  /** The same of a process beside it, at that time, that does no more than write a page to the disk every 5 ms. */
  readonly control: Held;
}

/**
 * Gives a store in a process of its own much to do, and tells how long its event loop was held.
 * @param ms how long each kind of load lasts
 * @returns that by kind of load, and first that of a process without a store while nothing else goes on
 */
export async function measureHeld(path: string, ms: number): Promise<readonly [Held, ...HeldIn[]]> {
  const aside = join(path, '../control');
  const alone = fork(LOAD, ['control', aside]);
  await setTimeout(ms);
  const [before] = await phasesOf(alone, 'end');

  const control = fork(LOAD, ['control', aside]);
  const phases = await phasesOf(fork(LOAD, ['store', path, String(ms)]));
  const [beside] = await phasesOf(control, 'end');
  const held = phases.map(({ what, tasks, turns }): HeldIn => {
    const [from, to] = [turns[0]!.atMs, turns.at(-1)!.atMs];
    const meanwhile = beside!.turns.filter(({ atMs }) => atMs > from && atMs <= to);
    return { what, tasks, ...heldBy(turns), control: heldBy(meanwhile) };
  });
  return [heldBy(before!.turns), ...held];
}

function heldBy(turns: readonly Turn[]): Held {
  const own = turns.map(({ ms, waitedMs }) => ms - waitedMs);
  return {
    p99: quantile(own, 0.99),
    longest: Math.max(...own),
    withWaiting: Math.max(...turns.map(({ ms }) => ms)),
    ran: Math.max(...turns.map(({ ranMs }) => ranMs)),
  };
}

async function phasesOf(child: ChildProcess, message?: string): Promise<readonly Phase[]> {
  const exited = once(child, 'exit').then(([code]) =>
    Promise.reject(new Error(`store-load ended with ${String(code)}`)),
  );
  if (message !== undefined) child.send(message);
  const [phases] = (await Promise.race([once(child, 'message'), exited])) as [Phase[]];
  await exited.catch(() => {});
  return phases;
}
