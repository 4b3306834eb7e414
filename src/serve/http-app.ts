import type { HttpBindings } from '@hono/node-server';
import type { AuthInfo } from '@modelcontextprotocol/sdk/server/auth/types.js';
import { Hono, type Context, type MiddlewareHandler } from 'hono';
import { cors } from 'hono/cors';
import { ErrorCode } from '../errors.ts';
import { defaultOwner } from '../wire/owner.ts';
import type { Authenticate } from './bearer.ts';
import { isModern, namesModern } from './era.ts';
import { refuse, unknownSession } from './http-answers.ts';
import { headersRefusal, readMessage } from './http-body.ts';
import { AllowedNames } from './http-hosts.ts';
import type { CheckedHttpOptions } from './http-options.ts';
import type { HttpSession } from './http-session.ts';
import { HttpSessions } from './http-sessions.ts';
import { OpenStreams } from './open-streams.ts';
import { RateLimit } from './rate-limit.ts';
import { ENDPOINT, resourceMetadata, WELL_KNOWN } from './resource-metadata.ts';
import type { Served } from './served.ts';

interface Env {
  Bindings: HttpBindings;
  Variables: {
    /** Who makes the request, where that is known. */
    authInfo: AuthInfo | undefined;
    /** The session that the request names, if it is that client's. */
    session: HttpSession | undefined;
  };
}

type Ctx = Context<Env>;

const METHODS = ['GET', 'POST', 'DELETE'];

/**
 * The routes: the endpoint of both generations, and what operators and clients ask besides.
 * @param isClosing whether new work is refused
 */
export function httpApp(
  served: Served,
  options: CheckedHttpOptions,
  authenticate: Authenticate | undefined,
  isClosing: () => boolean,
): Hono<Env> {
  const { limits, log } = options;
  const sessions = new HttpSessions(served, limits);
  const app = new Hono<Env>();
  app.onError((error) => {
    log.error({ err: error }, `a request failed: ${error.message}`);
    return refuse(500, { code: ErrorCode.internal, message: 'Internal error' });
  });
  app.notFound(() => refuse(404, { message: `Not found: the endpoint is ${ENDPOINT}` }));

  // Before the check of names: probes call a server by its address.
  app.get('/healthz', (c) => c.json({ status: 'ok' }));
  app.get('/readyz', (c) => (isClosing() ? c.json({ status: 'closing' }, 503) : c.json({ status: 'ok' })));

  app.use(checkNames(new AllowedNames(options)));
  const metadata = (c: Ctx) => {
    const found = resourceMetadata(c.req.raw, options);
    return found === undefined ? c.notFound() : c.json(found);
  };
  app.get(WELL_KNOWN, metadata);
  app.get(`${WELL_KNOWN}${ENDPOINT}`, metadata);
  if (options.publicUrl !== undefined) app.get(`${WELL_KNOWN}${options.publicUrl.pathname}`, metadata);

  app.use(ENDPOINT, admit(authenticate, sessions, limits));
  app.post(ENDPOINT, async (c) => {
    const message = headersRefusal(c.req.raw) ?? (await readMessage(c.req.raw, limits));
    if (message instanceof Response) return message;
    const authInfo = c.get('authInfo');
    const request = c.req.raw;
    if (await isModern(request, message)) return served.modern(request, { authInfo, parsedBody: message });
    const exchange = { request, outgoing: c.env.outgoing, authInfo, message };
    if (c.req.header('mcp-session-id') !== undefined) {
      return c.get('session')?.handle(exchange) ?? unknownSession();
    }
    if (message['method'] !== 'initialize') return withoutSession();
    if (!isClosing()) return sessions.open(exchange);
    return refuse(503, { message: 'The server is closing', headers: { 'retry-after': '10' } });
  });
  app.on(['GET', 'DELETE'], ENDPOINT, async (c) => {
    // 2026-07-28, transports, "Earlier Streamable HTTP Revisions".
    if (namesModern(c.req.header('mcp-protocol-version'))) return wrongMethod(['POST']);
    if (c.req.header('mcp-session-id') === undefined) return withoutSession();
    const exchange = { request: c.req.raw, outgoing: c.env.outgoing, authInfo: c.get('authInfo') };
    return c.get('session')?.handle(exchange) ?? unknownSession();
  });
  return app;
}

/** Host and Origin, and what lets a page of an allowed origin read the answers. */
function checkNames(names: AllowedNames): MiddlewareHandler<Env> {
  const share = cors({
    origin: (origin) => origin,
    allowMethods: METHODS,
    exposeHeaders: ['Mcp-Session-Id', 'WWW-Authenticate', 'Retry-After'],
    maxAge: 600,
  });
  return async (c, next) => {
    const host = c.req.header('host');
    if (!names.allowsHost(host)) return refuse(403, { message: `The Host ${host} is not allowed` });
    const origin = c.req.header('origin');
    if (origin === undefined) return next();
    if (!names.allowsOrigin(origin)) return refuse(403, { message: `The Origin ${origin} is not allowed` });
    return share(c, next);
  };
}

/** Finds out who makes the request, and whether there is room for it. */
function admit(
  authenticate: Authenticate | undefined,
  sessions: HttpSessions,
  { requestsPerSecond, maxStreamsPerOwner }: CheckedHttpOptions['limits'],
): MiddlewareHandler<Env> {
  const rate = new RateLimit(requestsPerSecond);
  const streams = new OpenStreams(maxStreamsPerOwner);
  return async (c, next) => {
    if (!METHODS.includes(c.req.method)) return wrongMethod(METHODS);
    const authInfo = await authenticate?.(c.req.raw);
    if (authInfo instanceof Response) return authInfo;
    const identity = authInfo && defaultOwner({ authInfo });
    const sessionId = c.req.header('mcp-session-id');
    const session = sessionId === undefined ? undefined : sessions.get(sessionId, identity);
    c.set('authInfo', authInfo);
    c.set('session', session);
    const owner = identity ?? defaultOwner({ sessionId: session?.id });
    const waitMs = rate.take(owner);
    if (waitMs !== undefined) {
      const headers = { 'retry-after': String(Math.max(1, Math.ceil(waitMs / 1000))) };
      return refuse(429, { message: `Too many requests: ${requestsPerSecond} a second are taken`, headers });
    }
    if (streams.enter(owner, c.env.outgoing)) return next();
    const message = `Too many open requests and streams: ${maxStreamsPerOwner} are taken`;
    return refuse(429, { message, headers: { 'retry-after': '1' } });
  };
}

function wrongMethod(allowed: readonly string[]): Response {
  return refuse(405, { message: 'Method not allowed', headers: { allow: allowed.join(', ') } });
}

function withoutSession(): Response {
  return refuse(400, { message: 'Mcp-Session-Id is required; a session begins with `initialize`' });
}
