import { setTimeout as sleep } from 'node:timers/promises';
import { Random } from '../soak/random.ts';
import { answer, create, look } from './load.ts';
import { nameOf, type Entry } from './ledger.ts';
import { startsOf } from './place.ts';
import { judge, judgeStarts } from './verdict.ts';
import type { World } from './world.ts';

/** A task that has not come to its end by then, is not going to. */
const STUCK_MS = 20_000;
const PAUSE_MS = 30;
const AT_ONCE = 12;
/** As many that have ended in earlier rounds are looked at again. */
const AGAIN = 80;

/** Finds every call of this round, follows each to its end, and judges it. */
export async function audit(world: World): Promise<void> {
  const { ledger, round, random } = world;
  const ofRound = ledger.entries.filter((entry) => entry.round === round);
  const until = performance.now() + STUCK_MS;
  await forEach(ofRound, async (entry) => {
    await repeat(world, entry);
    if (entry.taskId === undefined) return;
    const isWaiting = entry.asks !== undefined;
    await settle(world, entry, until);
    if (isWaiting) ledger.figures.waitedOn++;
    if (entry.end !== undefined) judge(ledger, entry);
  });
  const starts = await startsOf(world.place);
  for (const entry of ofRound) judgeStarts(ledger, entry, starts.get(entry.nonce) ?? []);
  const earlier = ledger.entries.filter((entry) => entry.round < round && entry.end !== undefined);
  const again = Array.from({ length: Math.min(AGAIN, earlier.length) }, () => random.oneOf(earlier));
  await lookAgain(world, again);
}

/** Looks once more at all that has ended, and whether anything else is under way. */
export async function auditAll(world: World): Promise<void> {
  const { ledger } = world;
  await lookAgain(
    world,
    ledger.entries.filter(({ end }) => end !== undefined),
  );
  const starts = await startsOf(world.place);
  for (const entry of ledger.entries) {
    const { isSafe, asks, tool } = entry.kind;
    const times = starts.get(entry.nonce)?.length ?? 0;
    if (times > 1 && !isSafe && !asks) ledger.violated(`${tool} ${entry.nonce} was started ${times} times`);
  }
}

/** A call with a key is made anew: it is the task that it was, or that it became without anybody hearing of it. */
async function repeat(world: World, entry: Entry): Promise<void> {
  if (entry.key === undefined) return;
  const wasKnown = entry.taskId !== undefined;
  const isModern = entry.nonce.length % 2 === 0;
  await create(world, entry, world.caller(world.random, entry.owner), isModern);
  if (wasKnown) world.ledger.figures.foundByKey++;
}

async function settle(world: World, entry: Entry, until: number): Promise<void> {
  const { ledger } = world;
  const random = new Random(entry.round);
  for (;;) {
    const caller = world.caller(random, entry.owner);
    const said = await look(world, entry, caller);
    if (entry.end !== undefined) return;
    if (said === undefined) return ledger.violated(`of ${nameOf(entry)} no end is known`);
    if (entry.asks !== undefined) await answer(world, entry, caller, said);
    if (performance.now() > until) {
      ledger.figures.stuck++;
      ledger.violated(`${nameOf(entry)} is stuck: ${JSON.stringify(said)}`);
      return;
    }
    await sleep(PAUSE_MS);
  }
}

async function lookAgain(world: World, entries: readonly Entry[]): Promise<void> {
  await forEach(entries, async (entry) => {
    await look(world, entry, world.caller(world.random, entry.owner));
  });
}

/** Some at once. */
async function forEach<T>(all: readonly T[], each: (one: T) => Promise<void>): Promise<void> {
  const rest = all.values();
  const work = async () => {
    for (const one of rest) await each(one);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
}
