import { setTimeout } from 'node:timers/promises';

export interface RateOptions {
  /** How many calls are under way at any time. */
  readonly inFlight: number;
  /** Before the counting begins. */
  readonly warmUpMs: number;
  readonly windowMs: number;
}

/** Calls a second, counted while they go on: what starting and stopping costs is left out. */
export async function rate(call: () => PromiseLike<unknown>, options: RateOptions): Promise<number> {
  const stop = new AbortController();
  let done = 0;
  const repeat = async () => {
    while (!stop.signal.aborted) {
      await call();
      done++;
    }
  };
  const calls = Promise.all(Array.from({ length: options.inFlight }, repeat));
  // The race, because a call that fails must be heard of at once.
  const pause = (ms: number) => Promise.race([setTimeout(ms), calls]);
  await pause(options.warmUpMs);
  const from = performance.now();
  const before = done;
  await pause(options.windowMs);
  const perSecond = ((done - before) / (performance.now() - from)) * 1000;
  stop.abort();
  await calls;
  return perSecond;
}
