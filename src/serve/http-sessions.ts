import { defaultOwner } from '../wire/owner.ts';
import { refuse } from './http-answers.ts';
import type { HttpLimits } from './http-options.ts';
import { HttpSession, type Exchange, type SessionLimits } from './http-session.ts';
import type { Served } from './served.ts';

type Limits = SessionLimits & Required<Pick<HttpLimits, 'maxSessions' | 'maxSessionsPerOwner'>>;

/** The sessions of clients that speak 2025-11-25 or before. */
export class HttpSessions {
  readonly #served: Pick<Served, 'connect'>;
  readonly #limits: Limits;
  readonly #sessions = new Map<string, HttpSession>();
  /** By whose they are; with those that are being opened. */
  readonly #counts = new Map<string | undefined, number>();
  #count = 0;

  constructor(served: Pick<Served, 'connect'>, limits: Limits) {
    this.#served = served;
    this.#limits = limits;
  }

  /** A session is known to whom it belongs only. */
  get(id: string, identity: string | undefined): HttpSession | undefined {
    const session = this.#sessions.get(id);
    return session?.identity === identity ? session : undefined;
  }

  /** Answers an `initialize` request with a new session. */
  async open(exchange: Exchange): Promise<Response> {
    const { authInfo } = exchange;
    const identity = authInfo && defaultOwner({ authInfo });
    const refusal = this.#refusal(identity);
    if (refusal !== undefined) return refusal;
    this.#counted(identity, 1);
    let session: HttpSession | undefined;
    try {
      session = await this.#create(identity);
      const response = await session.handle(exchange);
      if (this.#sessions.has(session.id)) return response;
      // It was no request that the SDK takes for the beginning of a session.
      await session.end();
      return response;
    } catch (error) {
      if (session === undefined) this.#counted(identity, -1);
      else await session.end();
      throw error;
    }
  }

  async #create(identity: string | undefined): Promise<HttpSession> {
    const { WebStandardStreamableHTTPServerTransport: Transport } =
      await import('@modelcontextprotocol/sdk/server/webStandardStreamableHttp.js');
    const session: HttpSession = new HttpSession(Transport, identity, this.#limits, {
      begun: () => void this.#sessions.set(session.id, session),
      ended: () => {
        this.#sessions.delete(session.id);
        this.#counted(identity, -1);
      },
    });
    // Those who cannot be told apart for sure get no list (2025-11-25, tasks, "Task Isolation and Access Control").
    await this.#served.connect(session.transport, { listTasks: identity !== undefined });
    return session;
  }

  #refusal(identity: string | undefined): Response | undefined {
    const { maxSessions, maxSessionsPerOwner } = this.#limits;
    if (identity !== undefined && (this.#counts.get(identity) ?? 0) >= maxSessionsPerOwner) {
      const message = `Too many sessions: ${maxSessionsPerOwner} are open; end one first`;
      return refuse(429, { message, headers: { 'retry-after': '60' } });
    }
    if (this.#count < maxSessions) return undefined;
    const message = `The server has all the ${maxSessions} sessions that it can have`;
    return refuse(503, { message, headers: { 'retry-after': '60' } });
  }

  #counted(identity: string | undefined, change: 1 | -1): void {
    this.#count += change;
    const count = (this.#counts.get(identity) ?? 0) + change;
    if (count === 0) this.#counts.delete(identity);
    else this.#counts.set(identity, count);
  }
}
