import { availableParallelism } from 'node:os';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Command, InvalidArgumentError } from 'commander';
import { ACTS, CRASH } from './acts.ts';
import { Auditor, isTerminal } from './auditor.ts';
import { Front, type Fields } from './front.ts';
import { Random } from './random.ts';
import { Stage } from './stage.ts';
import { quantile, Vitals } from './vitals.ts';

const TOOLS = fileURLToPath(new URL('./tools/', import.meta.url));
/** What the tools' process may hold. */
const MEMORY_MB = 400;
const GRACE_MS = 50;
/** More than there are threads, so that tasks wait. */
const ACTORS = 12;
const PING_PAUSE_MS = 10;
/** Fewer crashes than those that make the server refuse a tool. */
const CRASH_PAUSE_MS = 15_500;

await new Command('soak')
  .description('Lets tools and clients do their worst for a while, and audits what the server makes of it.')
  .option('--seconds <n>', 'how long', count, 600)
  .option('--seed <n>', 'what makes two runs choose the same (default: another one each time)', count)
  .action(({ seconds, seed = Math.floor(Math.random() * 1e9) }: { seconds: number; seed?: number }) =>
    run(seconds, seed),
  )
  .parseAsync();

async function run(seconds: number, seed: number): Promise<void> {
  console.log(`soak: ${seconds} s, --seed ${seed}`);
  const auditor = new Auditor();
  const threads = Math.min(availableParallelism(), 4);
  const options = {
    tools: TOOLS,
    threads,
    isolation: 'process',
    'max-memory-mb': MEMORY_MB,
    grace: GRACE_MS,
  };
  const args = Object.entries(options).flatMap(([name, value]) => [`--${name}`, `${value}`]);
  const front = new Front(args, auditor);
  await front.initialize();
  const stage = new Stage(front, auditor);
  const vitals = new Vitals(front.pid);
  const late = monitorEventLoopDelay({ resolution: 5 });
  late.enable();
  const end = performance.now() + seconds * 1000;
  const actors = Array.from({ length: ACTORS }, (_, n) => act(stage, new Random(seed + n), end));
  const pings = ping(front, auditor, end);
  await Promise.all([...actors, crash(stage, new Random(seed - 1), end), pings]);
  vitals.stop();
  late.disable();
  await Promise.all(stage.later);
  await auditList(stage);
  await front.close();
  for (const problem of vitals.problems()) auditor.violated(problem);
  for (const pid of vitals.survivors) auditor.violated(`process ${pid} was left behind`);
  for (const task of auditor.lost) auditor.violated(`lost: ${task}`);
  report(auditor, vitals);
  const [p99, max] = [late.percentile(99), late.max].map((ns) => (ns / 1e6).toFixed(1));
  console.log(`this process was late itself: p99 ${p99} ms, max ${max} ms`);
  if (auditor.violations.length === 0) return;
  console.log(`FAILED: ${auditor.violations.length} violations, --seed ${seed}`);
  process.exitCode = 1;
}

/** Plays one act after the other. */
async function act(stage: Stage, random: Random, end: number): Promise<void> {
  while (performance.now() < end) {
    const { name, play } = random.weighted(ACTS);
    stage.auditor.did(name);
    await play(stage, random);
  }
}

async function crash(stage: Stage, random: Random, end: number): Promise<void> {
  for (;;) {
    const pause = CRASH_PAUSE_MS + random.between(0, 3000);
    if (performance.now() + pause > end) return;
    await sleep(pause);
    stage.auditor.did(CRASH.name);
    await CRASH.play(stage, random);
  }
}

async function ping(front: Front, auditor: Auditor, end: number): Promise<void> {
  while (performance.now() < end) {
    const sent = performance.now();
    const { error } = await front.request('ping', {});
    if (error !== undefined) auditor.violated(`a ping was answered with ${error.message}`);
    auditor.pings.push(performance.now() - sent);
    await sleep(PING_PAUSE_MS);
  }
}

/** Nothing that the server still lists may be under way. */
async function auditList({ front, auditor }: Stage): Promise<void> {
  let cursor: string | undefined;
  do {
    const { result = {} } = await front.request('tasks/list', cursor === undefined ? {} : { cursor });
    for (const { taskId = '', status } of result.tasks ?? ([] as Fields[]))
      if (!isTerminal(status) || status !== auditor.endOf(taskId))
        auditor.violated(
          `task ${taskId} is listed as ${status}, and was told to be ${auditor.endOf(taskId)}`,
        );
    cursor = result.nextCursor;
  } while (cursor !== undefined);
}

function report(auditor: Auditor, { thirds }: Vitals): void {
  const { pings, acts, tasks, plainCalls, expired, collateral, refused, crashes, lost } = auditor;
  console.log('\nacts:');
  for (const [name, times] of [...acts].toSorted(([, a], [, b]) => b - a))
    console.log(`${String(times).padStart(7)}  ${name}`);
  console.log(
    `\ntasks ${tasks}, of which expired ${expired}; plain calls ${plainCalls}; lost ${lost.length}`,
  );
  console.log(
    `ends of the tools' process ${crashes}; failed because of another task ${collateral}; refused after crashes ${refused}`,
  );
  const [p50, p99, max] = [0.5, 0.99, 1].map((share) => quantile(pings, share).toFixed(1));
  console.log(`ping, of ${pings.length}: p50 ${p50} ms, p99 ${p99} ms, max ${max} ms`);
  if (thirds === undefined) return;
  const { first, last } = thirds;
  console.log(
    `server, first third and last: ${first.sizeMb} MB and ${last.sizeMb} MB, ${first.fds} and ${last.fds} descriptors`,
  );
}

function count(value: string): number {
  if (!/^\d{1,9}$/.test(value)) throw new InvalidArgumentError('Expected a whole number.');
  return Number(value);
}
