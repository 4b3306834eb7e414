import type { Transport } from '@modelcontextprotocol/sdk/shared/transport.js';
import type { JSONRPCMessage } from '@modelcontextprotocol/sdk/types.js';
import type { Channel, ChannelEndpoint } from './2026-07-28-channel.ts';
import { claimsRevision } from './revision.ts';

/** What answers messages, by revision. */
interface Served {
  /** Resolves when there is an answer to whatever is asked. */
  readonly ready: Promise<unknown>;
  connect(transport: Transport): Promise<unknown>;
  openModern(channel: Channel): Promise<ChannelEndpoint>;
  /** Called when the transport has closed. */
  closed(): void;
}

/** What has an answer before the tools are read. */
const EARLY = new Set(['initialize', 'notifications/initialized', 'ping', 'server/discover']);

/**
 * Serves both generations on one transport that stays, such as stdio, until it closes. A message which says what
 * revision it is of is answered by that, whatever came before; all others are answered by 2025-11-25. So a client
 * may ask by `server/discover` and then fall back to `initialize` (2026-07-28, basic/versioning, "Backward
 * Compatibility with Initialization-Based Versions").
 */
export async function serveGenerations(transport: Transport, served: Served): Promise<void> {
  let legacy: Lane | undefined;
  let modern: Lane | undefined;
  const receive = (message: JSONRPCMessage) => {
    // A notification may not name its revision: that of a client which has spoken just one is known.
    const isOfModern =
      claimsRevision((message as { params?: unknown }).params) ||
      (legacy === undefined && modern !== undefined && !('id' in message));
    if (isOfModern) (modern ??= new Lane(openModern(transport, served))).receive(message);
    else (legacy ??= new Lane(openLegacy(transport, served))).receive(message);
  };
  transport.onclose = () => {
    legacy?.close();
    modern?.close();
    served.closed();
  };
  let held: JSONRPCMessage[] | undefined = [];
  transport.onmessage = (message) => {
    if (held === undefined || EARLY.has((message as { method?: string }).method ?? '')) receive(message);
    else held.push(message);
  };
  served.ready.then(
    () => {
      const waiting = held ?? [];
      held = undefined;
      for (const message of waiting) receive(message);
    },
    // There will be no answer: the server says why, and closes.
    () => {},
  );
  await transport.start();
}

/** One generation's end of a transport. */
interface End {
  receive(message: JSONRPCMessage): void;
  closed(): void;
}

async function openLegacy(transport: Transport, served: Served): Promise<End> {
  const end: Transport = {
    start: async () => {},
    send: (message) => transport.send(message),
    close: () => transport.close(),
  };
  await served.connect(end);
  return {
    receive: (message) => end.onmessage?.(message),
    closed: () => end.onclose?.(),
  };
}

async function openModern(transport: Transport, served: Served): Promise<End> {
  const endpoint = await served.openModern({ send: (message) => transport.send(message) });
  return {
    receive: (message) => endpoint.receive(message),
    closed: () => void endpoint.close(),
  };
}

/** The messages of one generation, in their order, also while what answers them is being loaded. */
class Lane {
  readonly #opening: Promise<End>;
  #end: End | undefined;

  constructor(opening: Promise<End>) {
    this.#opening = opening.then((end) => (this.#end = end));
  }

  receive(message: JSONRPCMessage): void {
    if (this.#end !== undefined) this.#end.receive(message);
    else void this.#opening.then((end) => end.receive(message));
  }

  close(): void {
    void this.#opening.then((end) => end.closed());
  }
}
