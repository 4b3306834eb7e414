import type { Server } from '@modelcontextprotocol/sdk/server/index.js';
import type { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import type { Transport } from '@modelcontextprotocol/sdk/shared/transport.js';
import { assemble } from './assemble.ts';
import { checkOptions, type ServerOptions } from './options.ts';
import type { ConnectOptions, ModernOptions, Served } from './serve/served.ts';
import { SILENT } from './tasks/log.ts';
import type { Endpoint } from './wire/2026-07-28-endpoint.ts';
import { serveGenerations } from './wire/generations.ts';
import { Heartbeats } from './wire/heartbeats.ts';
import { LookUps } from './wire/look-ups.ts';
import { defaultOwner } from './wire/owner.ts';
import type { Service } from './wire/service.ts';
import { VERSION } from './version.ts';

/**
 * Reads the tools folder, starts the threads, and serves the tools on every transport that is connected.
 * @throws {CatalogError} with a line for each module that is at fault, unless `lenient`
 * @throws {OptionError} when an option has a value it cannot have
 */
export async function createServer(options: ServerOptions): Promise<TaskServer> {
  const server = startServer(options);
  await server.ready;
  return server;
}

/**
 * A server that is not ready yet: what {@link TaskServer.serve} is given before, is answered as far as it does not
 * concern the tools.
 * @throws {OptionError} when an option has a value it cannot have
 */
export function startServer(options: ServerOptions): TaskServer {
  checkOptions(options);
  return new TaskServer(options);
}

/**
 * Tools that run as tasks in threads, for any number of connections and requests. What speaks a revision of the
 * protocol, and the SDK for it, is loaded when the first client speaks it.
 */
export class TaskServer implements Served {
  /**
   * Resolves when the tools have been read and the threads are being started.
   * @throws {CatalogError} with a line for each module that is at fault, unless `lenient`
   */
  readonly ready: Promise<void>;
  /** Its engine and its tools are not there before it is ready. */
  readonly #service: Service;
  readonly #connected = new Set<Server>();
  readonly #served = new Set<Transport>();
  #modern: Promise<Endpoint> | undefined;
  #closing: Promise<void> | undefined;

  /** Use {@link createServer}. */
  constructor(options: ServerOptions) {
    const { log = SILENT } = options;
    const shared = {
      lookUps: new LookUps(options.maxLookUpMisses ?? 100, log),
      heartbeats: new Heartbeats(),
      log,
      ownerOf: options.owner ?? defaultOwner,
      pageSize: options.pageSize ?? 50,
      info: { name: options.name ?? 'mcp-taskpool', version: options.version ?? VERSION },
      instructions: options.instructions,
    };
    this.#service = shared as typeof shared & Service;
    this.ready = assemble(options, shared).then((parts) => void Object.assign(this.#service, parts));
    // Whoever waits for it is told.
    this.ready.catch(() => {});
  }

  /** The names of the tools that are served. */
  get tools(): string[] {
    return this.#service.toolbox.values().map(({ definition }) => definition.name);
  }

  /** How many tasks and calls wait, and how many run. */
  get load(): { queued: number; running: number } {
    return this.#service.engine.load;
  }

  /** Serves the tools on a transport that stays, such as stdio, to clients of both generations. */
  async serve(transport: Transport): Promise<void> {
    this.#served.add(transport);
    await serveGenerations(transport, {
      ready: this.ready,
      connect: (transport) => this.#connect(transport),
      openModern: async (channel) => (await this.#modernEndpoint()).open(channel),
      closed: () => this.#served.delete(transport),
    });
  }

  /**
   * Serves the tools on a transport, by 2025-11-25 alone; gives the SDK server that is connected to it.
   * @param options.listTasks whether the client may list its tasks. Default true.
   */
  async connect(transport: Transport, options: ConnectOptions = {}): Promise<Server> {
    await this.ready;
    return this.#connect(transport, options);
  }

  async #connect(transport: Transport, { listTasks = true }: ConnectOptions = {}): Promise<Server> {
    const { serverFor } = await import('./wire/2025-11-25-server.ts');
    const server = serverFor(this.#service, listTasks);
    const { onclose } = server;
    server.onclose = () => {
      onclose?.();
      this.#connected.delete(server);
    };
    this.#connected.add(server);
    await server.connect(transport);
    return server;
  }

  /**
   * Gives an SDK `McpServer` these tools beside its own tools, prompts and resources. Where a name is
   * on both sides, the tool from the folder is called. Call it before the server is connected.
   */
  async addTo(mcpServer: McpServer): Promise<void> {
    const { addTo } = await import('./wire/2025-11-25-server.ts');
    addTo(mcpServer, this.#service);
  }

  /**
   * Answers one request of 2026-07-28 over Streamable HTTP.
   * @param options.authInfo   who makes it, by a token that has been verified
   * @param options.parsedBody the body, where it has been read
   */
  async modern(request: Request, options: ModernOptions = {}): Promise<Response> {
    await this.ready;
    return (await this.#modernEndpoint()).fetch(request, options);
  }

  #modernEndpoint(): Promise<Endpoint> {
    this.#modern ??= import('./wire/2026-07-28-endpoint.ts').then(
      ({ Endpoint }) => new Endpoint(this.#service),
    );
    return this.#modern;
  }

  /**
   * Refuses new work, fails what is queued, lets what runs finish, then ends the threads and the
   * connections. Calling it again waits for the same end.
   * @param options.drainMs how long what runs may take; the rest fails as interrupted. Default 10,000.
   */
  close({ drainMs = 10_000 }: { drainMs?: number } = {}): Promise<void> {
    this.#closing ??= this.#close(drainMs);
    return this.#closing;
  }

  async #close(drainMs: number): Promise<void> {
    const isReady = await this.ready.then(
      () => true,
      () => false,
    );
    if (isReady) await this.#service.engine.close(drainMs);
    const modern = await this.#modern;
    await Promise.all([modern?.close(), ...[...this.#connected].map((server) => server.close())]);
    await Promise.all([...this.#served].map((transport) => transport.close()));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
