import { randomUUID } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import type { AuthInfo } from '@modelcontextprotocol/sdk/server/auth/types.js';
import type { WebStandardStreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/webStandardStreamableHttp.js';
import type { Transport } from '@modelcontextprotocol/sdk/shared/transport.js';
import { RecentEvents, STANDALONE, type Rest } from './event-store.ts';
import { refuse } from './http-answers.ts';
import type { HttpLimits } from './http-options.ts';
import { SessionTransport } from './session-transport.ts';

/** How long a session that is closed waits for the answers that are being sent. */
const ANSWER_MS = 1000;

/** How long a client should wait before it opens a stream anew that has ended (2025-11-25, transports, "Sending Messages to the Server" 6). */
const RECONNECT_MS = 1000;

/** One exchange of HTTP. */
export interface Exchange {
  readonly request: Request;
  readonly outgoing: ServerResponse;
  readonly authInfo: AuthInfo | undefined;
  /** The request's body, where it has one. */
  readonly message?: Record<string, unknown>;
}

export type SessionLimits = Required<Pick<HttpLimits, 'sessionIdleMs' | 'maxEvents' | 'maxEventBytes'>>;

interface Hooks {
  /** The client has been given the session. */
  readonly begun: () => void;
  readonly ended: () => void;
}

/**
 * A session of a client (2025-11-25, transports, "Session Management"): it lives until it is ended or nothing has
 * been open for a while. What its requests started outlives it.
 */
export class HttpSession {
  readonly id = randomUUID();
  /** Whose it is; undefined where nobody says who they are. */
  readonly identity: string | undefined;
  readonly #transport: WebStandardStreamableHTTPServerTransport;
  readonly #events: RecentEvents;
  readonly #idleMs: number;
  #idle: NodeJS.Timeout | undefined;
  #hasEnded = false;
  #open = 0;
  /** How often the standalone stream is. */
  #listening = 0;
  /** Requests whose answer has not been sent. */
  #unanswered = 0;
  #answered: (() => void) | undefined;

  constructor(
    Transport: typeof WebStandardStreamableHTTPServerTransport,
    identity: string | undefined,
    { sessionIdleMs, maxEvents, maxEventBytes: maxBytes }: SessionLimits,
    { begun, ended }: Hooks,
  ) {
    this.identity = identity;
    this.#idleMs = sessionIdleMs;
    this.#events = new RecentEvents({ maxEvents, maxBytes }, () => this.#listening > 0);
    this.#transport = new Transport({
      sessionIdGenerator: () => this.id,
      eventStore: this.#events,
      retryInterval: RECONNECT_MS,
      onsessioninitialized: begun,
    });
    this.#transport.onclose = () => {
      this.#hasEnded = true;
      clearTimeout(this.#idle);
      ended();
    };
  }

  /** The other end, for a server. */
  get transport(): Transport {
    return new SessionTransport(this.#transport, () => this.#untilAnswered());
  }

  handle({ request, outgoing, authInfo, message }: Exchange): Promise<Response> {
    this.#enter(outgoing, message !== undefined && 'method' in message && 'id' in message);
    if (request.method === 'GET') return this.#listen(request, outgoing);
    return this.#transport.handleRequest(request, {
      ...(authInfo !== undefined && { authInfo }),
      ...(message !== undefined && { parsedBody: message }),
    });
  }

  end(): Promise<void> {
    return this.#transport.close();
  }

  /** Resolves once no request waits for its answer, or soon. */
  async #untilAnswered(): Promise<void> {
    if (this.#unanswered === 0) return;
    let timer: NodeJS.Timeout | undefined;
    await new Promise<void>((resolve) => {
      this.#answered = resolve;
      timer = setTimeout(resolve, ANSWER_MS);
    });
    clearTimeout(timer);
  }

  #enter(outgoing: ServerResponse, isRequest: boolean): void {
    clearTimeout(this.#idle);
    this.#open++;
    if (isRequest) this.#unanswered++;
    outgoing.once('close', () => {
      if (isRequest && --this.#unanswered === 0) this.#answered?.();
      if (--this.#open === 0 && !this.#hasEnded) {
        this.#idle = setTimeout(() => void this.end(), this.#idleMs);
      }
    });
  }

  /** Opens the standalone stream, or resumes any ("Listening for Messages", "Resumability and Redelivery"). */
  async #listen(request: Request, outgoing: ServerResponse): Promise<Response> {
    const lastEventId = request.headers.get('last-event-id') ?? this.#unheard(request);
    if (lastEventId === undefined || lastEventId.startsWith(STANDALONE)) {
      this.#listening++;
      outgoing.once('close', () => this.#listening--);
    }
    if (lastEventId === undefined) return this.#transport.handleRequest(request);
    if (this.#events.after(lastEventId) === undefined) {
      return refuse(400, { message: 'Last-Event-ID: unknown, or what came after is no longer kept' });
    }
    const headers = { ...Object.fromEntries(request.headers), 'last-event-id': lastEventId };
    const response = await this.#transport.handleRequest(new Request(request.url, { headers }));
    const rest = this.#events.after(lastEventId);
    if (rest?.isOver !== true) return response;
    // The SDK would keep a stream open on which nothing comes any more.
    await response.body?.cancel();
    return this.#replay(rest);
  }

  /** What came before somebody listened is not lost on who does now. */
  #unheard(request: Request): string | undefined {
    const willListen = request.headers.get('accept')?.includes('text/event-stream') === true;
    return willListen && this.#listening === 0 ? this.#events.unheard() : undefined;
  }

  #replay({ events }: Rest): Response {
    const body = events.map(({ id, json }) => `event: message\nid: ${id}\ndata: ${json}\n\n`).join('');
    return new Response(body, {
      headers: {
        'content-type': 'text/event-stream',
        'cache-control': 'no-cache, no-transform',
        'mcp-session-id': this.id,
      },
    });
  }
}
