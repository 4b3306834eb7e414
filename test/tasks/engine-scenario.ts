import * as fc from 'fast-check';
import { expect, vi } from 'vitest';
import { Engine } from '../../src/tasks/engine.ts';
import type { Repeatable } from '../../src/tasks/runner.ts';
import type { Call, Lane, Outcome } from '../../src/tasks/task.ts';
import { HandRunner, HandStore, NEXT, TERMINAL, Witness } from './by-hand.ts';

const LANES = ['cpu', 'io'] as const;
const OWNERS = ['ada', 'bob', 'cy'];
const MOST_RUNNING = 2;
const LONGEST_TTL_MS = 60_000;

const OUTCOMES: readonly Outcome[] = [
  { type: 'result', result: { content: [] }, isError: false },
  { type: 'result', result: { content: [] }, isError: true },
  { type: 'error', code: -1, message: 'it broke' },
  { type: 'cancelled' },
];

/** What happens to an engine. A `pick` chooses among what there is at that time. */
const pick = fc.nat(50);
const owner = fc.constantFrom(...OWNERS);
const lane = fc.constantFrom<Lane>(...LANES);
export const anEvent = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      type: fc.constant('create'),
      owner,
      lane,
      ttlMs: fc.constantFrom(1, 60, 200, LONGEST_TTL_MS, undefined),
      key: fc.constantFrom('k', undefined, undefined),
    }),
  },
  { weight: 2, arbitrary: fc.record({ type: fc.constant('call'), owner, lane }) },
  { weight: 2, arbitrary: fc.record({ type: fc.constant('abort'), pick }) },
  { weight: 3, arbitrary: fc.record({ type: fc.constant('open'), lane }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('lose'), lane }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('refuse'), refused: fc.boolean() }) },
  { weight: 2, arbitrary: fc.record({ type: fc.constant('progress'), pick }) },
  {
    weight: 4,
    arbitrary: fc.record({
      type: fc.constant('finish'),
      pick,
      outcome: fc.nat(3),
      how: fc.constantFrom<(Repeatable | undefined)[]>(undefined, 'failed', 'interrupted'),
      lingers: fc.boolean(),
    }),
  },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('checkpoint'), pick }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('finish again'), pick, outcome: fc.nat(3) }) },
  { weight: 3, arbitrary: fc.record({ type: fc.constant('cancel'), pick, twice: fc.boolean() }) },
  { weight: 2, arbitrary: fc.record({ type: fc.constant('wait'), pick, aborted: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('leave'), pick }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('pass'), ms: fc.integer({ min: 1, max: 250 }) }) },
  { weight: 6, arbitrary: fc.record({ type: fc.constant('store'), pick, fails: fc.constant(false) }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('store'), pick, fails: fc.constant(true) }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('slow'), slow: fc.boolean() }) },
);
type Event = typeof anEvent extends fc.Arbitrary<infer T> ? T : never;

interface Created {
  readonly taskId: string;
  readonly owner: string;
  /** Follows it from its creation; absent where it was made before. */
  readonly witness: Witness;
  readonly isNew: boolean;
  hasLeft: boolean;
}

/** An engine, what is done to it, and everything that was promised. */
export class Scenario {
  readonly store = new HandStore();
  readonly runner = new HandRunner();
  readonly engine: Engine;
  readonly #created: Created[] = [];
  /** Of which the store did not take the last state, for as long as the engine tried. */
  readonly #givenUp = new Set<string>();
  readonly #witnesses: Witness[] = [];
  readonly #calls: AbortController[] = [];
  readonly #errors: unknown[] = [];
  #promised = 0;

  constructor() {
    this.engine = new Engine({
      store: this.store,
      runner: this.runner,
      log: {
        info: () => {},
        warn: () => {},
        error: (fields, message) => {
          if (message.includes('it is lost')) this.#givenUp.add((fields as { taskId: string }).taskId);
        },
      },
      defaultTtlMs: LONGEST_TTL_MS,
      maxTtlMs: LONGEST_TTL_MS,
      pollIntervalMs: 1000,
      maxQueued: 8,
      maxQueuedPerOwner: 5,
      maxRunningPerOwner: MOST_RUNNING,
    });
  }

  async happens(event: Event): Promise<void> {
    this.#happens(event);
    await this.settles();
    for (const owner of OWNERS) {
      const own = this.runner.running.filter(
        ({ call, stopped, hasFinished }) => call.tool === owner && !stopped && !hasFinished,
      );
      expect(own.length).toBeLessThanOrEqual(MOST_RUNNING);
    }
    this.#isLegal();
  }

  /** What can go on goes on. */
  async settles(): Promise<void> {
    await vi.advanceTimersByTimeAsync(0);
  }

  /** Lets all that is under way end, one after the other. */
  async runsOut(): Promise<void> {
    this.store.slow = false;
    this.runner.refused = false;
    for (const lane of LANES) this.runner.open(lane);
    do {
      while (this.store.waits) this.store.go(0, false);
      const [run] = this.runner.running;
      if (run !== undefined) this.runner.finish(run, OUTCOMES[0]!);
      await this.settles();
      // What the store did not take, it takes now.
      await vi.advanceTimersByTimeAsync(1000);
    } while (this.store.waits || this.runner.running.length > 0);
    this.#isLegal();
  }

  /** Everything has come to exactly one end, and nothing is held any more. */
  async isAtRest(): Promise<void> {
    expect(this.#promised).toBe(0);
    expect(this.engine.load).toEqual({ queued: 0, running: 0 });
    for (const states of this.store.kept.values()) {
      expect(states[0]).toBe('queued');
      for (const [n, state] of states.slice(1).entries()) expect(NEXT[states[n]!]).toContain(state);
    }
    for (const { taskId, owner, witness, isNew, hasLeft } of this.#created) {
      if (isNew && !hasLeft) expect(witness.hasSeenTheEnd).toBe(true);
      const view = await this.engine.get(owner, taskId).catch(() => undefined);
      if (view === undefined || this.#givenUp.has(taskId)) continue;
      expect(TERMINAL).toContain(view.task.state);
      expect(this.store.kept.get(taskId)!.at(-1)).toBe(view.task.state);
      if (isNew && !hasLeft) expect(witness.states.at(-1)).toBe(view.task.state);
      expect(await this.engine.ended(owner, taskId, new AbortController().signal)).toEqual(view.task);
      await expect(this.engine.cancel(owner, taskId)).rejects.toThrow();
      expect((await this.engine.get(owner, taskId)).task).toEqual(view.task);
    }
  }

  /** Each place takes a task at once. */
  async hasAllItsRoom(): Promise<void> {
    for (const lane of LANES) {
      const places = this.runner.places[lane];
      expect(this.runner.room(lane)).toBe(places);
      // Of everybody who was here before, too.
      for (let n = 0; n < places; n++) {
        const owner = OWNERS[n] ?? 'dee';
        await this.engine.create({ owner, call: { tool: owner, args: {}, lane } });
      }
      await this.settles();
      expect(this.runner.room(lane)).toBe(0);
      while (this.runner.running.length > 0) this.runner.finish(this.runner.running[0]!, OUTCOMES[0]!);
      await this.settles();
    }
    expect(this.engine.load).toEqual({ queued: 0, running: 0 });
  }

  async closes(): Promise<void> {
    this.#promise(this.engine.close(100));
    await this.settles();
  }

  #happens(event: Event): void {
    const { runner, store, engine } = this;
    switch (event.type) {
      case 'create': {
        const { owner, lane, ttlMs, key } = event;
        this.#promise(this.#create({ owner, call: callOf(owner, lane), ttlMs, idempotencyKey: key }));
        return;
      }
      case 'call': {
        const { owner, lane } = event;
        const stop = new AbortController();
        this.#calls.push(stop);
        this.#promise(engine.call({ owner, call: callOf(owner, lane) }, this.#witness(), stop.signal));
        return;
      }
      case 'abort':
        chosen(this.#calls, event.pick)?.abort(new Error('not wanted any more'));
        return;
      case 'open':
        return runner.open(event.lane);
      case 'lose':
        return runner.lose(event.lane);
      case 'refuse':
        runner.refused = event.refused;
        return;
      case 'progress':
        chosen(runner.running, event.pick)?.hooks.progress({ done: 1 });
        return;
      case 'finish': {
        const run = chosen(runner.running, event.pick);
        if (run !== undefined) runner.finish(run, OUTCOMES[event.outcome]!, event.how, event.lingers);
        return;
      }
      case 'checkpoint':
        chosen(runner.running, event.pick)?.hooks.checkpoint(event.pick);
        return;
      case 'finish again':
        // No runner should; whoever writes one may.
        chosen(runner.ended, event.pick)?.hooks.finished(OUTCOMES[event.outcome]!);
        return;
      case 'cancel': {
        const task = chosen(this.#created, event.pick);
        if (task === undefined) return;
        this.#promise(this.#cancel(task));
        if (event.twice) this.#promise(this.#cancel(task));
        return;
      }
      case 'wait': {
        const task = chosen(this.#created, event.pick);
        if (task === undefined) return;
        const stop = new AbortController();
        this.#calls.push(stop);
        this.#promise(this.#wait(task, stop.signal));
        if (event.aborted) stop.abort(new Error('not wanted any more'));
        return;
      }
      case 'leave': {
        const task = chosen(this.#created, event.pick);
        if (task === undefined) return;
        task.hasLeft = true;
        engine.unobserve(task.taskId, task.witness);
        return;
      }
      case 'pass':
        vi.advanceTimersByTime(event.ms);
        return;
      case 'store':
        return store.go(event.pick, event.fails);
      case 'slow':
        store.slow = event.slow;
    }
  }

  async #create(wanted: Parameters<Engine['create']>[0]): Promise<void> {
    const witness = this.#witness();
    const { task } = await this.engine.create(wanted, witness);
    const isNew = wanted.idempotencyKey === undefined;
    this.#created.push({ taskId: task.taskId, owner: task.owner, witness, isNew, hasLeft: false });
  }

  async #cancel({ owner, taskId }: Created): Promise<void> {
    const { task } = await this.engine.cancel(owner, taskId);
    this.#check(() => expect(task.state).toBe('cancelled'));
  }

  async #wait({ owner, taskId }: Created, signal: AbortSignal): Promise<void> {
    const task = await this.engine.ended(owner, taskId, signal);
    this.#check(() => expect(TERMINAL).toContain(task.state));
  }

  /** Somebody waits for this; that it is rejected is an end as well. */
  #promise(promise: Promise<unknown>): void {
    this.#promised++;
    const settled = () => void this.#promised--;
    promise.then(settled, settled);
  }

  #witness(): Witness {
    const witness = new Witness();
    this.#witnesses.push(witness);
    return witness;
  }

  #isLegal(): void {
    expect(this.#witnesses.flatMap(({ faults }) => faults)).toEqual([]);
    expect(this.#errors).toEqual([]);
  }

  #check(expectation: () => void): void {
    try {
      expectation();
    } catch (error) {
      this.#errors.push(error);
    }
  }
}

function callOf(owner: string, lane: Lane): Call {
  return {
    tool: owner,
    args: {},
    lane,
    ...(lane === 'io' ? { retry: { attempts: 3, backoff: 20 } } : { idempotent: true }),
  };
}

function chosen<T>(all: readonly T[], pick: number): T | undefined {
  return all[pick % Math.max(all.length, 1)];
}
