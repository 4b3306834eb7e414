import { once } from 'node:events';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { isIPv6 } from 'node:net';
import { checkHttpOptions, type CheckedHttpOptions, type HttpOptions } from './http-options.ts';
import type { Served } from './served.ts';

/** How long answers that are being sent may take when the server has closed. */
const SEND_MS = 1000;
/** How often Node looks for requests that take too long. */
const LOOK_MS = 5000;

/** A server that listens. */
export interface HttpServer {
  /** The endpoint. */
  readonly url: string;
  /**
   * Refuses new work and new sessions, lets what runs finish and its results be fetched, then ends the sessions, the
   * connections and the server behind. Calling it again waits for the same end.
   * @param options.drainMs how long what runs may take; the rest fails as interrupted. Default 10,000.
   */
  close(options?: { drainMs?: number }): Promise<void>;
}

/**
 * Serves over Streamable HTTP, at `/mcp`, clients of 2025-11-25 and before in sessions, and those of 2026-07-28;
 * `/healthz` and `/readyz` answer probes. Resolves once it listens.
 * @param served what {@link createServer} gives
 * @throws {OptionError} when an option has a value it cannot have, or a bind that others can reach lacks `auth`
 * @throws {Error} when it cannot listen there
 */
export async function serveHttp(served: Served, options: HttpOptions = {}): Promise<HttpServer> {
  const checked = checkHttpOptions(options);
  // Loaded here, for those who do not serve HTTP.
  const [{ getRequestListener }, { httpApp }, { bearer }, { createServer }] = await Promise.all([
    import('@hono/node-server'),
    import('./http-app.ts'),
    import('./bearer.ts'),
    import('node:http'),
  ]);
  let closing: Promise<void> | undefined;
  const app = httpApp(served, checked, await bearer(checked), () => closing !== undefined);
  // The globals are the embedder's.
  const listener = getRequestListener(app.fetch, { overrideGlobalObjects: false });
  const { headersTimeoutMs, requestTimeoutMs, idleTimeoutMs } = checked.limits;
  const server = createServer(
    {
      headersTimeout: headersTimeoutMs,
      requestTimeout: Math.max(headersTimeoutMs, requestTimeoutMs),
      keepAliveTimeout: idleTimeoutMs,
      connectionsCheckingInterval: Math.min(LOOK_MS, headersTimeoutMs, requestTimeoutMs),
    },
    (incoming, outgoing) => void listener(incoming, outgoing),
  );
  await listen(server, checked);
  // Such as a connection for which there is no file descriptor left.
  server.on('error', (error) => checked.log.error({ err: error }, `HTTP: ${error.message}`));
  const close = async (drainMs: number) => {
    await served.close({ drainMs });
    await shut(server);
  };
  return {
    url: urlOf(server, checked.host),
    close: ({ drainMs = 10_000 } = {}) => (closing ??= close(drainMs)),
  };
}

async function listen(server: Server, { host, port }: CheckedHttpOptions): Promise<void> {
  server.listen(port, host);
  await once(server, 'listening');
}

function urlOf(server: Server, host: string): string {
  const { port } = server.address() as AddressInfo;
  return `http://${isIPv6(host) ? `[${host}]` : host}:${port}/mcp`;
}

/** Ends the connections, those that are being sent something after a while. */
async function shut(server: Server): Promise<void> {
  const closed = once(server, 'close');
  server.close();
  const timer = setTimeout(() => server.closeAllConnections(), SEND_MS);
  await closed;
  clearTimeout(timer);
}
