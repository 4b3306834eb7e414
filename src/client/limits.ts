import { MAX_DELAY_MS, onAbort } from './abort.ts';
import type { Ending } from './ending.ts';
import { RequestTimeoutError } from './errors.ts';

/** For what the server answers without waiting for anything. */
export const QUICK_MS = 60_000;

export interface Limits {
  /** Takes the request back, and rejects with the signal's reason. */
  signal?: AbortSignal | undefined;
  /** Default: no limit. */
  timeoutMs?: number | undefined;
}

/**
 * Makes a request within its limits, and while the connection lasts. Nothing of it stays behind, however it
 * ends.
 * @param send gets what ends the wait for the answer, and must reject once that aborts; it may abort it itself
 * @throws {ConnectionClosedError} when the connection is closed, or closes before the answer
 * @throws {RequestTimeoutError} when the answer takes longer than `timeoutMs`
 * @throws the signal's reason, and what `send` throws
 */
export async function withinLimits<T>(
  method: string,
  { signal, timeoutMs }: Limits,
  ending: Ending,
  send: (stop: AbortController) => Promise<T>,
): Promise<T> {
  signal?.throwIfAborted();
  if (ending.error !== undefined) throw ending.error;
  const stop = new AbortController();
  const end = (error: unknown) => stop.abort(error);
  const unlink = [onAbort(signal, () => end(signal?.reason)), ending.on(end)];
  if (timeoutMs !== undefined) {
    const timeout = () => end(new RequestTimeoutError(method, timeoutMs));
    const timer = setTimeout(timeout, Math.min(timeoutMs, MAX_DELAY_MS));
    unlink.push(() => clearTimeout(timer));
  }
  try {
    return await send(stop);
  } catch (error) {
    if (stop.signal.aborted) throw stop.signal.reason;
    throw error;
  } finally {
    for (const off of unlink) off();
  }
}
