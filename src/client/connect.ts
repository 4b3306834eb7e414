import { InitializeRefused } from './2025-11-25/refusal.ts';
import { openLegacy } from './2025-11-25/open.ts';
import type { ConnectOptions } from './options.ts';
import { routeTo, type Route, type Target } from './target.ts';
import type { Wire } from './wire.ts';

/**
 * Opens a connection in the revision that the options name, or in the one that the server speaks.
 *
 * `auto` tries `initialize` first: whatever speaks 2025-11-25 answers it, and what speaks 2026-07-28 alone
 * refuses it (2026-07-28, versioning, "Backward Compatibility with Initialization-Based Versions"). That
 * takes no probe which a server of 2025-11-25 may leave unanswered, and no time-out to find that out.
 */
export async function openWire(target: Target, options: ConnectOptions): Promise<Wire> {
  const { protocol = 'auto', connectTimeoutMs = 60_000, signal } = options;
  signal?.throwIfAborted();
  switch (protocol) {
    case '2025-11-25':
      return (await openLegacy(routeTo(target), options, connectTimeoutMs, false)) as Wire;
    case '2026-07-28':
      return openModern(target, routeTo(target), false, options, connectTimeoutMs);
    case 'auto':
      return negotiate(target, options, connectTimeoutMs);
    default:
      throw new TypeError(
        `protocol: expected 'auto', '2025-11-25' or '2026-07-28', got ${JSON.stringify(protocol)}`,
      );
  }
}

async function negotiate(target: Target, options: ConnectOptions, timeoutMs: number): Promise<Wire> {
  const start = performance.now();
  const route = routeTo(target);
  const opened = await openLegacy(route, options, timeoutMs, route.carriesModern);
  if (!(opened instanceof InitializeRefused)) return opened;
  const left = Math.max(1, timeoutMs - (performance.now() - start));
  try {
    return await openModern(target, route, true, options, Math.ceil(left));
  } catch (error) {
    // It speaks neither: what it said first is the clearer.
    throw opened.isCertain || options.signal?.aborted ? error : opened.error;
  }
}

/** Loaded when it is needed. */
async function openModern(
  target: Target,
  route: Route,
  isStarted: boolean,
  options: ConnectOptions,
  timeoutMs: number,
): Promise<Wire> {
  const { openModern } = await import('./2026-07-28/open.ts');
  return openModern(target, route, isStarted, options, timeoutMs);
}
