import { setTimeout as sleep } from 'node:timers/promises';
import { audit } from './audit.ts';
import { load, prepare } from './load.ts';
import { playMigration } from './migration.ts';
import { Server } from './server.ts';
import type { World } from './world.ts';

/** What is done to servers under load, at an instant that the seed decides. */
interface Variant {
  readonly name: string;
  /** Called under load; at least one server is there when it resolves. */
  readonly blow: (world: World) => Promise<void>;
  /** How many servers there are before. Default 1. */
  readonly servers?: number;
  /** For how long the load goes on after it. */
  readonly afterMs?: number;
}

/** How many calls have been acknowledged when it is struck, and how long after: so it is under load on a slow machine, too. */
const CALLS = { least: 3, most: 45 };
const MORE_MS = 60;
const LONGEST_LOAD_MS = 5000;

const only = (world: World): Server => [...world.servers][0]!;

const FRONT: Variant = {
  name: 'front killed',
  blow: async (world) => {
    await world.kill(only(world));
    await world.start();
  },
};

const TOOLS: Variant = {
  name: "tools' process killed",
  afterMs: 200,
  blow: (world) => world.killTools(only(world)),
};

const BOTH: Variant = {
  name: 'both killed',
  blow: async (world) => {
    const server = only(world);
    const toolsKilled = world.killTools(server);
    await sleep(world.random.between(0, 40));
    await world.kill(server);
    await toolsKilled;
    await world.start();
  },
};

const TWICE: Variant = {
  name: 'killed again soon after',
  blow: async (world) => {
    await world.kill(only(world));
    const typicalMs = world.startsMs.at(-1)!;
    const spawned = Server.launch(world.place, world.place.file);
    // While it starts, or when it has just begun with what it has found.
    if (world.random.next() < 0.5) await sleep(world.random.between(typicalMs * 0.4, typicalMs));
    else {
      await spawned.listening;
      await sleep(world.random.between(0, 400));
    }
    await world.killEarly(spawned);
    await world.start();
  },
};

const STOP: Variant = {
  name: 'told to end',
  blow: async (world) => {
    await world.stop(only(world));
    await world.start();
  },
};

const ONE_OF_TWO: Variant = {
  name: 'one of two killed',
  servers: 2,
  afterMs: 200,
  blow: (world) => world.kill(world.random.oneOf([...world.servers])),
};

const BOTH_OF_TWO: Variant = {
  name: 'two killed, one after the other',
  servers: 2,
  blow: async (world) => {
    for (const server of [...world.servers]) {
      await world.kill(server);
      await sleep(world.random.between(0, 150));
    }
    await world.start();
  },
};

/** Puts the servers under load, strikes, and holds what they then say against what they said before. */
async function play(world: World, { blow, servers = 1, afterMs = 0 }: Variant): Promise<void> {
  world.isShared = false;
  while (world.servers.size < servers) await world.start();
  const stop = new AbortController();
  await prepare(world);
  const loaded = load(world, stop.signal);
  const due = world.random.between(CALLS.least, CALLS.most) + world.ledger.acknowledged.length;
  const late = performance.now() + LONGEST_LOAD_MS;
  while (world.ledger.acknowledged.length < due && performance.now() < late) await sleep(1);
  await sleep(world.random.between(0, MORE_MS));
  // The load ends by itself where no server is left.
  await blow(world);
  await sleep(afterMs);
  stop.abort();
  await loaded;
  await audit(world);
  while (world.servers.size > 1) await world.stop([...world.servers][1]!);
}

interface Round {
  readonly name: string;
  readonly play: (world: World) => Promise<void>;
}

const of = (variant: Variant): Round => ({ name: variant.name, play: (world) => play(world, variant) });

/** Ten rounds have all of them. */
export const ROUNDS: readonly Round[] = [
  of(FRONT),
  of(TOOLS),
  of(ONE_OF_TWO),
  of(FRONT),
  of(TWICE),
  of(BOTH),
  of(STOP),
  { name: 'killed while it brings an old file up to date', play: playMigration },
  of(BOTH_OF_TWO),
  of(FRONT),
];
