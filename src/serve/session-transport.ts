import type { WebStandardStreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/webStandardStreamableHttp.js';
import type { Transport, TransportSendOptions } from '@modelcontextprotocol/sdk/shared/transport.js';
import type { JSONRPCMessage, RequestId } from '@modelcontextprotocol/sdk/types.js';

/** Messages that a client may leave unread on a stream before it is cut; it can resume. */
const MOST_UNREAD = 10_000;

/**
 * What the SDK's transport has no method for. The fields are private: should they go away, what a client does not
 * read piles up until it leaves.
 */
interface Streams {
  _streamMapping?: Map<string, { controller?: { desiredSize: number | null }; cleanup(): void }>;
  _requestToStreamMapping?: Map<RequestId, string>;
  _standaloneSseStreamId?: string;
}

/**
 * The SDK's transport as a server sees it: closing it waits for the answers that are being sent, and a stream whose
 * client does not read it is cut.
 */
export class SessionTransport implements Transport {
  readonly #inner: Transport;
  readonly #answered: () => Promise<void>;

  /** @param answered resolves once no request waits for its answer */
  constructor(inner: WebStandardStreamableHTTPServerTransport, answered: () => Promise<void>) {
    this.#inner = inner;
    this.#answered = answered;
  }

  get sessionId(): string | undefined {
    return this.#inner.sessionId;
  }

  get onclose(): Transport['onclose'] {
    return this.#inner.onclose;
  }
  set onclose(handler: Transport['onclose']) {
    this.#inner.onclose = handler;
  }

  get onerror(): Transport['onerror'] {
    return this.#inner.onerror;
  }
  set onerror(handler: Transport['onerror']) {
    this.#inner.onerror = handler;
  }

  get onmessage(): Transport['onmessage'] {
    return this.#inner.onmessage;
  }
  set onmessage(handler: Transport['onmessage']) {
    this.#inner.onmessage = handler;
  }

  start(): Promise<void> {
    return this.#inner.start();
  }

  async send(message: JSONRPCMessage, options?: TransportSendOptions): Promise<void> {
    await this.#inner.send(message, options);
    if ('method' in message) this.#cutUnread(options?.relatedRequestId);
  }

  async close(): Promise<void> {
    await this.#answered();
    await this.#inner.close();
  }

  #cutUnread(requestId: RequestId | undefined): void {
    const inner = this.#inner as unknown as Streams;
    const streamId =
      requestId === undefined ? inner._standaloneSseStreamId : inner._requestToStreamMapping?.get(requestId);
    const stream = streamId === undefined ? undefined : inner._streamMapping?.get(streamId);
    if ((stream?.controller?.desiredSize ?? 0) < -MOST_UNREAD) stream?.cleanup();
  }
}
