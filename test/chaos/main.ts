import { setTimeout as sleep } from 'node:timers/promises';
import { Command, InvalidArgumentError } from 'commander';
import { isAlive, quantile } from '../soak/vitals.ts';
import { auditAll } from './audit.ts';
import { Ledger } from './ledger.ts';
import { openPlace, removePlace } from './place.ts';
import { migrations } from './migration.ts';
import { ROUNDS } from './rounds.ts';
import { World } from './world.ts';

/** As long as a process may take to see that its parent has gone. */
const ORPHANED_MS = 5000;
/** From so many rounds on, all that can happen has to have happened. */
const MANY_ROUNDS = 10;

await new Command('chaos')
  .description(
    'Kills servers under load, again and again, and audits what they know of their tasks afterwards.',
  )
  .option('--rounds <n>', 'how often', count, 100)
  .option('--seed <n>', 'what makes two runs choose the same (default: another one each time)', count)
  .action(({ rounds, seed = Math.floor(Math.random() * 1e9) }: { rounds: number; seed?: number }) =>
    run(rounds, seed),
  )
  .parseAsync();

async function run(rounds: number, seed: number): Promise<void> {
  console.log(`chaos: ${rounds} rounds, --seed ${seed}`);
  const since = performance.now();
  const place = await openPlace();
  const ledger = new Ledger();
  const world = new World(place, ledger, seed);
  const played = new Map<string, number>();
  try {
    await world.start();
    for (; world.round < rounds; world.round++) {
      const { name, play } = ROUNDS[world.round % ROUNDS.length]!;
      const before = performance.now();
      const known = ledger.acknowledged.length;
      await play(world);
      played.set(name, (played.get(name) ?? 0) + 1);
      const tasks = ledger.acknowledged.length - known;
      console.log(
        `round ${world.round + 1}: ${name}, ${tasks} tasks, ${((performance.now() - before) / 1000).toFixed(1)} s`,
      );
    }
    await auditAll(world);
    for (const server of [...world.servers]) await world.stop(server);
    await noneIsLeft(world);
  } catch (error) {
    ledger.violated(String((error as Error).stack ?? error));
    for (const server of [...world.servers]) await world.kill(server);
  } finally {
    await removePlace(place);
  }
  if (rounds >= MANY_ROUNDS && ledger.violations.length === 0) proves(ledger);
  report(world, played, performance.now() - since);
  if (ledger.violations.length === 0) return;
  console.log(`FAILED: ${ledger.violations.length} violations, --seed ${seed}`);
  process.exitCode = 1;
}

/** Of all processes that servers have started. */
async function noneIsLeft({ children, ledger }: World): Promise<void> {
  const until = performance.now() + ORPHANED_MS;
  const left = () => [...children].filter(isAlive);
  while (left().length > 0 && performance.now() < until) await sleep(50);
  for (const pid of left()) ledger.violated(`process ${pid} was left behind`);
}

/** An audit that never saw anything interrupted proves nothing. */
function proves(ledger: Ledger): void {
  const { interrupted, rerun, wentOn, waitedOn, foundByKey, unanswered } = ledger.figures;
  const all = { interrupted, rerun, wentOn, waitedOn, foundByKey, unanswered };
  for (const [what, times] of Object.entries(all))
    if (times === 0) ledger.violated(`the rounds have proved nothing: ${what} 0`);
}

function report({ ledger, startsMs }: World, played: ReadonlyMap<string, number>, tookMs: number): void {
  const { figures, entries, acknowledged, blows } = ledger;
  console.log('\nrounds:');
  for (const [name, times] of played) console.log(`${String(times).padStart(7)}  ${name}`);
  console.log(
    `\ncalls ${entries.length}, of which without an answer ${figures.unanswered}, refused by a server that was ending ${figures.refused}`,
  );
  console.log(
    `tasks acknowledged ${acknowledged.length}: interrupted ${figures.interrupted}, run again ${figures.rerun}, ` +
      `gone on from a checkpoint ${figures.wentOn}, given up after two interruptions ${figures.interruptedTwice}, ` +
      `waited on for an answer ${figures.waitedOn}, found by their key ${figures.foundByKey}, cancelled ${figures.cancelled}`,
  );
  console.log(`lost ${figures.lost}, stuck ${figures.stuck}, doubled ${figures.doubled}`);
  const { before, after, tasks } = migrations;
  console.log(
    `old files: ${before} kills before the file was up to date, ${after} after; ${tasks} of their tasks audited`,
  );
  console.log(`servers killed ${blows.fronts}, tools' processes ${blows.tools}, told to end ${blows.stops}`);
  const [p50, p99] = [0.5, 0.99].map((share) => quantile(startsMs, share).toFixed(0));
  console.log(
    `start of ${startsMs.length} servers: p50 ${p50} ms, p99 ${p99} ms; ${(tookMs / 1000).toFixed(0)} s in all`,
  );
}

function count(value: string): number {
  if (!/^\d{1,9}$/.test(value)) throw new InvalidArgumentError('Expected a whole number.');
  return Number(value);
}
