import type { ServerResponse } from 'node:http';
import type { AuthInfo } from '@modelcontextprotocol/sdk/server/auth/types.js';
import type { WebStandardStreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/webStandardStreamableHttp.js';
import type { RecentEvents, Rest } from './event-store.ts';
import { refuse } from './http-answers.ts';

/** How long a session that is closed waits for the answers that are being sent. */
const ANSWER_MS = 1000;

/** One exchange of HTTP. */
export interface Exchange {
  readonly request: Request;
  readonly outgoing: ServerResponse;
  readonly authInfo: AuthInfo | undefined;
  /** The request's body, where it has one. */
  readonly message?: Record<string, unknown>;
}

/**
 * A session of a client (2025-11-25, transports, "Session Management"): it lives until it is ended or nothing has
 * been open for a while. What its requests started outlives it.
 */
export class HttpSession {
  readonly id: string;
  /** Whose it is; undefined where nobody says who they are. */
  readonly identity: string | undefined;
  readonly #transport: WebStandardStreamableHTTPServerTransport;
  readonly #events: RecentEvents;
  readonly #idleMs: number;
  #idle: NodeJS.Timeout | undefined;
  #hasEnded = false;
  #open = 0;
  /** Requests whose answer has not been sent. */
  #unanswered = 0;
  #answered: (() => void) | undefined;

  constructor(
    id: string,
    identity: string | undefined,
    transport: WebStandardStreamableHTTPServerTransport,
    events: RecentEvents,
    idleMs: number,
  ) {
    this.id = id;
    this.identity = identity;
    this.#transport = transport;
    this.#events = events;
    this.#idleMs = idleMs;
  }

  async handle({ request, outgoing, authInfo, message }: Exchange): Promise<Response> {
    this.#enter(outgoing, message !== undefined && 'method' in message && 'id' in message);
    const lastEventId = request.method === 'GET' ? request.headers.get('last-event-id') : null;
    if (lastEventId !== null) {
      const rest = this.#events.after(lastEventId);
      if (rest === undefined) {
        return refuse(400, { message: 'Last-Event-ID: unknown, or what came after is no longer kept' });
      }
      // The SDK would keep a stream open on which nothing comes any more.
      if (rest.isOver) return this.#replay(rest);
    }
    return this.#transport.handleRequest(request, {
      ...(authInfo !== undefined && { authInfo }),
      ...(message !== undefined && { parsedBody: message }),
    });
  }

  /** Resolves once no request waits for its answer, or soon. */
  async answered(): Promise<void> {
    if (this.#unanswered === 0) return;
    let timer: NodeJS.Timeout | undefined;
    await new Promise<void>((resolve) => {
      this.#answered = resolve;
      timer = setTimeout(resolve, ANSWER_MS);
    });
    clearTimeout(timer);
  }

  end(): Promise<void> {
    return this.#transport.close();
  }

  /** The transport has closed. */
  ended(): void {
    this.#hasEnded = true;
    clearTimeout(this.#idle);
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
