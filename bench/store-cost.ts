import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import type { Connection } from '../src/stores/sqlite-connection.ts';
import { loadDriver, type SqliteRow } from '../src/stores/sqlite-driver.ts';
import { openFile } from '../src/stores/sqlite-open.ts';
import { SqliteStore } from '../src/stores/sqlite.ts';
import { engineWith } from './engine.ts';
import { InstantRunner } from './instant-runner.ts';
import { noopPool } from './noop-pool.ts';
import { median } from './statistics.ts';
import { ARGS, RESULT, TOOL } from './store-file.ts';

const TOGETHER = 64;

/** Microseconds a task, of each round. */
export interface Costs {
  readonly bare: number[];
  readonly engine: number[];
  readonly engineTogether: number[];
  readonly create: number[];
  readonly createTogether: number[];
  readonly pool: number[];
  readonly poolTogether: number[];
}

/** The median of the ratios of the rounds: what slows the machine down for a while slows both. */
export function ratio(over: readonly number[], under: readonly number[]): number {
  return median(over.map((value, round) => value / under[round]!));
}

/** What creating and finishing a task costs, beside two bare writes, and what it costs when many do it at once. */
export async function measureCosts(folder: string, rounds: number, tasks: number): Promise<Costs> {
  const path = (name: string) => join(folder, `${name}.db`);
  const open = (name: string) => SqliteStore.open({ path: path(name) });
  const instant = new InstantRunner(TOGETHER, () => RESULT);
  instant.open();
  const engine = engineWith(instant, await open('engine'));
  const idle = engineWith(new InstantRunner(), await open('queue'));
  const real = engineWith(noopPool('process'), await open('pool'));
  const bare = new BareWrites((await openFile(await loadDriver(), path('bare'), 'full')).connection);
  await bare.learn(path('pattern'));

  const steps: readonly (readonly [keyof Costs, () => void | Promise<unknown>, number])[] = [
    ['bare', () => bare.task(), 1],
    ['engine', () => engine.run(TOOL, ARGS), 1],
    ['engineTogether', () => engine.run(TOOL, ARGS), TOGETHER],
    ['create', () => idle.create(TOOL, () => {}, ARGS), 1],
    ['createTogether', () => idle.create(TOOL, () => {}, ARGS), TOGETHER],
    ['pool', () => real.run('noop'), 1],
    ['poolTogether', () => real.run('noop'), TOGETHER],
  ];
  const costs = Object.fromEntries(steps.map(([name]) => [name, [] as number[]])) as unknown as Costs;
  // The first round warms up.
  for (let round = 0; round <= rounds; round++) {
    for (const [name, task, together] of steps) {
      const micros = await timeEach(task, tasks * (together === 1 ? 1 : 4), together);
      if (round > 0) costs[name].push(micros);
    }
  }
  await Promise.all([engine, idle, real].map((each) => each.close()));
  bare.close();
  return costs;
}

async function timeEach(
  task: () => void | Promise<unknown>,
  times: number,
  together: number,
): Promise<number> {
  let left = times;
  const repeat = async () => {
    while (left-- > 0) await task();
  };
  const started = performance.now();
  await Promise.all(Array.from({ length: together }, repeat));
  return ((performance.now() - started) / times) * 1000;
}

/** The rows of a task as the store writes them, written without it: to the same kind of file, by the same driver. */
class BareWrites {
  readonly #connection: Connection;
  #created: SqliteRow = {};
  #ended: SqliteRow = {};

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  /** Has a task created and finished by the engine, and reads what is written then. */
  async learn(path: string): Promise<void> {
    const runner = new InstantRunner(1, () => RESULT);
    const engine = engineWith(runner, await SqliteStore.open({ path }));
    const { DatabaseSync } = await loadDriver();
    const database = new DatabaseSync(path);
    const row = () => database.prepare('SELECT * FROM tasks').get()!;
    await new Promise<void>((resolve, reject) => {
      const created = () => {
        this.#created = row();
        runner.open();
      };
      engine.create(TOOL, () => resolve(), ARGS).then(created, reject);
    });
    this.#ended = row();
    database.close();
    await engine.close();
  }

  /** Each write is a transaction of its own. */
  task(): void {
    const id = randomUUID();
    const { owner, state, instance, expires_at, ended_at, record, call, result } = this.#created;
    this.#connection.run(
      INSERT,
      id,
      owner!,
      state!,
      instance!,
      expires_at!,
      ended_at!,
      record!,
      call!,
      result!,
    );
    const ended = this.#ended;
    this.#connection.run(
      UPDATE,
      ended['state']!,
      ended['instance']!,
      ended['expires_at']!,
      ended['ended_at']!,
      ended['record']!,
      ended['result']!,
      id,
    );
  }

  close(): void {
    this.#connection.close();
  }
}

const INSERT =
  'INSERT INTO tasks (task_id, owner, state, instance, expires_at, ended_at, record, call, result) ' +
  'VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)';
const UPDATE =
  'UPDATE tasks SET state = ?, instance = ?, expires_at = ?, ended_at = ?, record = ?, result = ? WHERE task_id = ?';
