import {
  serveHttp,
  type HttpOptions,
  type HttpServer,
  type Served,
  type ServerOptions,
  type TaskServer,
} from 'mcp-taskpool';
import { onTestFinished } from 'vitest';
import { serveFixtures, serveFixturesOnce } from '../wire/fixtures.ts';

/** Of all the tests of a file; a server with its threads takes a while to start. */
const shared = await serveFixtures();

/** The fixture tools over HTTP, for one test. */
export async function serveOnce(options: HttpOptions = {}): Promise<HttpServer> {
  const http = await serveHttp(fixtures(), options);
  onTestFinished(() => http.close({ drainMs: 1 }));
  return http;
}

/** The same, with a server of its own behind it. */
export async function serveAlone(
  options: HttpOptions = {},
  serverOptions: Partial<ServerOptions> = {},
): Promise<HttpServer & { server: TaskServer }> {
  const server = await serveFixturesOnce(serverOptions);
  const http = await serveHttp(server, options);
  onTestFinished(() => http.close({ drainMs: 1 }));
  return { ...http, server };
}

/** The fixture tools; when they are closed, what has been connected to them is. */
export function fixtures(): Served {
  const connected: { close(): Promise<void> }[] = [];
  return {
    connect: async (transport, options) => connected.push(await shared.connect(transport, options)),
    modern: (request, options) => shared.modern(request, options),
    close: async () => void (await Promise.all(connected.map((connection) => connection.close()))),
  };
}
