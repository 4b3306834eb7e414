import { GetTaskResultSchema } from '@modelcontextprotocol/sdk/types.js';
import { SqliteStore } from '../src/stores/sqlite.ts';
import { engineWith } from './engine.ts';
import { InstantRunner } from './instant-runner.ts';
import { inMemory } from './pairs.ts';
import { BENCH_TOOLS } from './places.ts';
import { quantile } from './statistics.ts';
import { taskId } from './store-file.ts';

const IN_TURN = 250;

export interface File {
  readonly path: string;
  readonly rows: number;
}

/** Microseconds of the median and of the 99th percentile, of each round; by file. */
export type Reads = readonly { readonly p50: number[]; readonly p99: number[] }[];

/** Gets of random tasks from each of the files, by the engine. */
export async function readByEngine(files: readonly File[], rounds: number, gets: number): Promise<Reads> {
  const engines = await Promise.all(
    files.map(async ({ path }) => engineWith(new InstantRunner(), await SqliteStore.open({ path }))),
  );
  const ask = engines.map((engine) => (id: string) => engine.get(id));
  const reads = await read(files, ask, rounds, gets);
  await Promise.all(engines.map((engine) => engine.close()));
  return reads;
}

/** Gets of random tasks from each of the files, as a client has them: by requests `tasks/get`. */
export async function readByClient(files: readonly File[], rounds: number, gets: number): Promise<Reads> {
  const pairs = await Promise.all(
    files.map(async ({ path }) =>
      inMemory({ tools: BENCH_TOOLS, threads: 1, store: await SqliteStore.open({ path }) }),
    ),
  );
  const ask = pairs.map(
    ({ client }) =>
      (id: string) =>
        client.sdk.request({ method: 'tasks/get', params: { taskId: id } }, GetTaskResultSchema),
  );
  const reads = await read(files, ask, rounds, gets);
  for (const pair of pairs) await pair[Symbol.asyncDispose]();
  return reads;
}

async function read(
  files: readonly File[],
  ask: readonly ((id: string) => Promise<unknown>)[],
  rounds: number,
  gets: number,
): Promise<Reads> {
  const reads = files.map(() => ({ p50: [] as number[], p99: [] as number[] }));
  for (let round = 0; round <= rounds; round++) {
    const micros = files.map((): number[] => []);
    for (let done = 0; done < gets; done += IN_TURN) {
      for (const [n, { rows }] of files.entries()) {
        for (let turn = 0; turn < IN_TURN; turn++) {
          const id = taskId(1 + Math.floor(Math.random() * rows));
          const started = performance.now();
          await ask[n]!(id);
          micros[n]!.push((performance.now() - started) * 1000);
        }
      }
    }
    // The first round warms up.
    if (round === 0) continue;
    for (const [n, values] of micros.entries()) {
      reads[n]!.p50.push(quantile(values, 0.5));
      reads[n]!.p99.push(quantile(values, 0.99));
    }
  }
  return reads;
}
