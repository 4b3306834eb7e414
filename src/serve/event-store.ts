import type { EventStore } from '@modelcontextprotocol/sdk/server/webStandardStreamableHttp.js';
import type { JSONRPCMessage } from '@modelcontextprotocol/sdk/types.js';

/** What the SDK calls the stream of what belongs to no request. */
export const STANDALONE = '_GET_stream';

interface StoredEvent {
  readonly streamId: string;
  readonly json: string;
  readonly bytes: number;
  /** After it nothing comes on its stream. */
  readonly isLast: boolean;
}

interface Limits {
  readonly maxEvents: number;
  /** Of JSON. */
  readonly maxBytes: number;
}

/** What is left of a stream. */
export interface Rest {
  readonly streamId: string;
  readonly events: readonly { id: string; json: string }[];
  /** Whether that is all: the response is among it, or has been received. */
  readonly isOver: boolean;
}

/**
 * The latest messages of a session, for a client that resumes a stream (2025-11-25, transports, "Resumability and
 * Redelivery"). The oldest make room, and what is larger than the room is not kept: a stream that has lost a message
 * cannot be resumed from before it.
 */
export class RecentEvents implements EventStore {
  readonly #limits: Limits;
  /** By their numbers, oldest first. */
  readonly #events = new Map<number, StoredEvent>();
  /** Each stream that can be resumed, and the number of its latest message that is not kept any more. */
  readonly #streams = new Map<string, number>();
  readonly #isListening: () => boolean;
  #last = 0;
  /** The latest message of the standalone stream that somebody listened to. */
  #heard = 0;
  #bytes = 0;

  /** @param isListening whether the standalone stream is open */
  constructor(limits: Limits, isListening: () => boolean) {
    this.#limits = limits;
    this.#isListening = isListening;
  }

  async storeEvent(streamId: string, message: JSONRPCMessage): Promise<string> {
    const number = ++this.#last;
    if (!this.#streams.has(streamId)) this.#open(streamId, number);
    // The SDK opens a stream with an empty message, to tell its id.
    if ('jsonrpc' in message) this.#keep(number, streamId, message);
    if (streamId === STANDALONE && this.#isListening()) this.#heard = number;
    return `${streamId}_${number}`;
  }

  /** What came after this event on its stream; undefined where that is not known, or no longer. */
  after(eventId: string): Rest | undefined {
    const [, streamId, digits] = /^(.+)_(\d{1,15})$/.exec(eventId) ?? [];
    const number = Number(digits);
    const lost = streamId === undefined ? undefined : this.#streams.get(streamId);
    if (streamId === undefined || lost === undefined || number < lost || number > this.#last)
      return undefined;
    const own = [...this.#events].filter(([, event]) => event.streamId === streamId);
    const events = own
      .filter(([other]) => other > number)
      .map(([other, { json }]) => ({ id: `${streamId}_${other}`, json }));
    return { streamId, events, isOver: own.some(([, { isLast }]) => isLast) };
  }

  /**
   * The event after which nobody has listened to the standalone stream, for one who begins to; undefined where
   * there has been nothing to hear. It is told once.
   */
  unheard(): string | undefined {
    const from = Math.max(this.#heard, this.#streams.get(STANDALONE) ?? Infinity);
    this.#heard = this.#last;
    const isThere = [...this.#events].some(
      ([number, event]) => number > from && event.streamId === STANDALONE,
    );
    return isThere ? `${STANDALONE}_${from}` : undefined;
  }

  async replayEventsAfter(
    lastEventId: string,
    { send }: { send: (eventId: string, message: JSONRPCMessage) => Promise<void> },
  ): Promise<string> {
    const rest = this.after(lastEventId);
    if (rest === undefined) throw new Error('Last-Event-ID: unknown, or no longer kept');
    for (const { id, json } of rest.events) await send(id, JSON.parse(json) as JSONRPCMessage);
    return rest.streamId;
  }

  #open(streamId: string, number: number): void {
    // A request that is cancelled gets no response, by which its stream would be over.
    const [oldest] = this.#streams.keys();
    if (this.#streams.size >= 2 * this.#limits.maxEvents) this.#streams.delete(oldest!);
    this.#streams.set(streamId, number - 1);
  }

  #keep(number: number, streamId: string, message: JSONRPCMessage): void {
    const json = JSON.stringify(message);
    const event = { streamId, json, bytes: Buffer.byteLength(json), isLast: !('method' in message) };
    if (event.bytes > this.#limits.maxBytes) return this.#lose(number, event);
    this.#events.set(number, event);
    this.#bytes += event.bytes;
    for (const [oldest, old] of this.#events) {
      if (this.#events.size <= this.#limits.maxEvents && this.#bytes <= this.#limits.maxBytes) break;
      this.#events.delete(oldest);
      this.#bytes -= old.bytes;
      this.#lose(oldest, old);
    }
  }

  #lose(number: number, { streamId, isLast }: StoredEvent): void {
    const lost = this.#streams.get(streamId);
    if (isLast) this.#streams.delete(streamId);
    else if (lost !== undefined && lost < number) this.#streams.set(streamId, number);
  }
}
