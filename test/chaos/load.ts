import { setTimeout as sleep } from 'node:timers/promises';
import { Random } from '../soak/random.ts';
import type { Answer, Caller, Fields } from './caller.ts';
import { KINDS, answerTo } from './kinds.ts';
import { isTerminal, type Entry } from './ledger.ts';
import type { World } from './world.ts';

const ACTORS = 12;
const PAUSE_MS = 20;
const REFUSED = -32000;

const IDEMPOTENCY_KEY = 'mcp-taskpool/idempotencyKey';

/** Some that are sure to be there when it is struck: they wait for an answer, or are in their midst. */
export async function prepare(world: World): Promise<void> {
  const { random, ledger, round } = world;
  const open = async (tool: string, args: Readonly<Record<string, unknown>>) => {
    const caller = world.caller(random);
    const kind = KINDS.find((kind) => kind.tool === tool)!;
    const entry = ledger.open({ kind, args, owner: caller.owner, round, hasKey: true });
    await create(world, entry, caller, true);
    return entry;
  };
  const asking = await open('ask_twice', {});
  await open('go_on', { seed: random.between(1, 1e9), steps: 80 });
  while (asking.taskId !== undefined && asking.asks === undefined && asking.end === undefined) {
    await look(world, asking, world.caller(random, asking.owner));
    await sleep(PAUSE_MS);
  }
}

/** Calls tools without a break, until told to stop. */
export async function load(world: World, stop: AbortSignal): Promise<void> {
  const actors = Array.from({ length: ACTORS }, (_, n) => {
    const random = new Random(world.random.between(0, 2 ** 31) + n);
    return act(world, random, stop);
  });
  await Promise.all(actors);
}

async function act(world: World, random: Random, stop: AbortSignal): Promise<void> {
  while (!stop.aborted && world.servers.size > 0) {
    const caller = world.caller(random);
    const call = {
      kind: random.weighted(KINDS),
      owner: caller.owner,
      round: world.round,
      hasKey: random.next() < 0.3,
    };
    const entry = world.ledger.open({ ...call, args: call.kind.args(random) });
    await create(world, entry, caller, random.next() < 0.5);
    // Many wait while others run.
    if (entry.taskId === undefined || (!call.kind.asks && random.next() < 0.5)) continue;
    await follow(world, entry, random, stop);
  }
}

/** Makes the call, and enters the id where it is acknowledged: the same, if it was before. */
export async function create(world: World, entry: Entry, caller: Caller, isModern: boolean): Promise<void> {
  const { ledger } = world;
  const { kind, args, key } = entry;
  const params = {
    name: kind.tool,
    arguments: args,
    ...(key !== undefined && { _meta: { [IDEMPOTENCY_KEY]: key } }),
  };
  // Of a client of 2025-11-25 questions go to the stream of its result, which nobody opens here.
  const answer =
    isModern || kind.asks
      ? await caller.modern('tools/call', params)
      : await caller.legacy('tools/call', { ...params, task: {} });
  const taskId = answer?.result?.taskId ?? answer?.result?.task?.taskId;
  if (taskId === undefined) {
    if (answer === undefined) ledger.figures.unanswered++;
    else if (answer.error?.code === REFUSED && ledger.since(entry).stops > 0) ledger.figures.refused++;
    else ledger.violated(`${kind.tool} ${entry.nonce} was not created: ${textOf(answer)}`);
    return;
  }
  if (entry.taskId !== undefined && entry.taskId !== taskId)
    ledger.violated(`${kind.tool} with ${key} was task ${entry.taskId}, and then ${taskId}`);
  entry.taskId = taskId;
}

/** Looks at a task again and again, and does with it what clients do. */
async function follow(world: World, entry: Entry, random: Random, stop: AbortSignal): Promise<void> {
  const cancels = random.next() < 0.08;
  const answers = random.next() < 0.6;
  for (let looks = 0; entry.end === undefined && !stop.aborted && world.servers.size > 0; looks++) {
    const caller = world.caller(random, entry.owner);
    const said = await look(world, entry, caller);
    if (said === undefined || isTerminal(said.status)) return;
    if (entry.asks !== undefined) {
      if (!answers) return;
      await answer(world, entry, caller, said);
    } else if (cancels && looks === 1) {
      await cancel(entry, caller);
    }
    await sleep(PAUSE_MS);
  }
}

/**
 * What the server says of a task; it has to know it.
 * @returns undefined where there was no answer, or the wrong one
 */
export async function look(world: World, entry: Entry, caller: Caller): Promise<Fields | undefined> {
  const { ledger } = world;
  const answer = await caller.modern('tasks/get', { taskId: entry.taskId });
  if (answer === undefined) return undefined;
  if (answer.result === undefined) {
    ledger.figures.lost++;
    ledger.violated(`${entry.kind.tool} ${entry.nonce}, task ${entry.taskId}, is lost: ${textOf(answer)}`);
    return undefined;
  }
  ledger.saw(entry, answer.result);
  return answer.result;
}

/** Answers all that a task asks. */
export async function answer(world: World, entry: Entry, caller: Caller, said: Fields): Promise<void> {
  const requests = Object.entries(said.inputRequests ?? {});
  const inputResponses = Object.fromEntries(
    requests.map(([key, { params }]) => {
      const content = { n: answerTo(params.message, entry.nonce) };
      return [key, { action: 'accept', content }];
    }),
  );
  delete entry.asks;
  const answered = await caller.modern('tasks/update', { taskId: entry.taskId, inputResponses });
  if (answered === undefined) return;
  if (answered.error !== undefined) world.ledger.violated(`an answer was refused: ${textOf(answered)}`);
  else for (const [key] of requests) entry.answered.set(key, !world.isShared);
}

async function cancel(entry: Entry, caller: Caller): Promise<void> {
  entry.cancel = 'asked';
  const answer = await caller.legacy('tasks/cancel', { taskId: entry.taskId });
  if (answer?.result?.status === 'cancelled') entry.cancel = 'acknowledged';
}

function textOf({ result, error }: Answer): string {
  return JSON.stringify(result ?? error).slice(0, 300);
}
