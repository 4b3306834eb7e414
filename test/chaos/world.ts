import { setTimeout as sleep } from 'node:timers/promises';
import { Random } from '../soak/random.ts';
import { isAlive } from '../soak/vitals.ts';
import type { Caller } from './caller.ts';
import type { Ledger } from './ledger.ts';
import type { Place } from './place.ts';
import { Server, type Spawned } from './server.ts';

/** The servers on one file, and what is known of their tasks. */
export class World {
  readonly place: Place;
  readonly ledger: Ledger;
  readonly random: Random;
  readonly servers = new Set<Server>();
  /** All processes that servers have started. */
  readonly children = new Set<number>();
  /** How long each took from its start until it listened. */
  readonly startsMs: number[] = [];
  round = 0;
  /** Whether several servers have had the file in this round: then a task may be another's than the one that is asked. */
  isShared = false;

  constructor(place: Place, ledger: Ledger, seed: number) {
    this.place = place;
    this.ledger = ledger;
    this.random = new Random(seed);
  }

  async start(): Promise<Server> {
    const server = await Server.start(this.place, this.place.file);
    this.startsMs.push(server.startMs);
    this.servers.add(server);
    if (this.servers.size > 1) this.isShared = true;
    return server;
  }

  /** Of a server that is there: for this owner, or any. */
  caller(random: Random, owner?: string): Caller {
    const { callers } = random.oneOf([...this.servers]);
    return owner === undefined ? random.oneOf(callers) : callers.find((caller) => caller.owner === owner)!;
  }

  /** Kills one that may not have listened yet. */
  async killEarly(spawned: Spawned): Promise<void> {
    this.ledger.blows.fronts++;
    for (const pid of await spawned.kill()) this.children.add(pid);
  }

  async kill(server: Server): Promise<void> {
    this.servers.delete(server);
    this.ledger.blows.fronts++;
    await server.kill();
    this.#seen(server);
  }

  /** Resolves when its server knows: what is called until then may still be given to the dead. */
  async killTools(server: Server): Promise<void> {
    const killed = server.killTools();
    this.#seen(server);
    while (killed.some(isAlive)) await sleep(5);
    this.ledger.blows.tools++;
  }

  /** Ends a server as its operator would. */
  async stop(server: Server): Promise<void> {
    this.servers.delete(server);
    this.ledger.blows.stops++;
    const code = await server.stop();
    this.#seen(server);
    if (code !== 0) this.ledger.violated(`a server that was told to end did with ${code}:\n${server.said}`);
  }

  #seen({ children }: Server): void {
    for (const pid of children) this.children.add(pid);
  }
}
