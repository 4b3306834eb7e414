import type { Isolation } from '../src/pool/place.ts';
import { ThreadPool } from '../src/pool/pool.ts';
import { BENCH_TOOLS, moduleOf, THREADS } from './places.ts';

/** A pool without an engine, whose one tool is `noop`. */
export function noopPool(isolation: Isolation): ThreadPool {
  return new ThreadPool({
    place: { isolation, env: {}, lockdown: undefined },
    threads: THREADS,
    ioConcurrency: 1,
    graceMs: 250,
    maxMemoryMb: undefined,
    maxResultMb: 10,
    recycleAfter: undefined,
    tools: new Map([
      ['noop', { module: moduleOf(BENCH_TOOLS, 'noop'), lane: 'cpu', maxMemoryMb: undefined }],
    ]),
    log: console,
  });
}
