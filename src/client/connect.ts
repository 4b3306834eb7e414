import { openLegacy } from './2025-11-25/open.ts';
import type { ConnectOptions } from './options.ts';
import { routeTo, type Target } from './target.ts';
import type { Wire } from './wire.ts';

/** Opens a connection, and initializes it. */
export async function openWire(target: Target, options: ConnectOptions): Promise<Wire> {
  options.signal?.throwIfAborted();
  return (await openLegacy(routeTo(target), options, options.connectTimeoutMs ?? 60_000, false)) as Wire;
}
