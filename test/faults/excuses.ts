import type { Tick } from '../fixtures/control.ts';

/** Longer than the control sleeps, on a machine that has other things to do: it could not run. */
const LATE_MS = 10;
/** How exactly it is known how long a thread ran. */
const EXACTLY_MS = 10;

/**
 * For how much of a stretch of time no server is to blame: that in which the machine let the control not run, in
 * which the client was busy, or in which the server's threads wanted to run and did not.
 */
export function excusedMs(fromMs: number, toMs: number, ticks: readonly Tick[]): number {
  const during = ticks.filter((tick) => tick.toMs > fromMs && tick.fromMs < toMs);
  let excused = 0;
  let wanted = 0;
  for (const tick of during) {
    const ms = Math.min(tick.toMs, toMs) - Math.max(tick.fromMs, fromMs);
    if (tick.clientIsBusy || tick.toMs - tick.fromMs > LATE_MS) excused += ms;
    else if (tick.serverWantsToRun) wanted += ms;
  }
  const ran = (during.at(-1)?.serverRanMs ?? 0) - (during[0]?.serverRanMs ?? 0) + EXACTLY_MS;
  return excused + Math.max(wanted - ran, 0);
}
