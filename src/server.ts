import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import type { Server } from '@modelcontextprotocol/sdk/server/index.js';
import type { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import type { Transport } from '@modelcontextprotocol/sdk/shared/transport.js';
import { CatalogError } from './errors.ts';
import { checkOptions, type ServerOptions } from './options.ts';
import { readCatalog, type Catalog } from './pool/catalog.ts';
import { environment, type Place } from './pool/place.ts';
import { ThreadPool } from './pool/pool.ts';
import type { ConnectOptions, ModernOptions, Served } from './serve/served.ts';
import { MemoryStore } from './stores/memory.ts';
import { Engine } from './tasks/engine.ts';
import type { Log } from './tasks/log.ts';
import type { Channel, ChannelEndpoint } from './wire/2026-07-28-channel.ts';
import type { Endpoint } from './wire/2026-07-28-endpoint.ts';
import { serveGenerations } from './wire/generations.ts';
import { LookUps } from './wire/look-ups.ts';
import { defaultOwner } from './wire/owner.ts';
import type { Service } from './wire/service.ts';
import { Toolbox } from './wire/tools.ts';
import { VERSION } from './version.ts';

const SILENT: Log = { info: () => {}, warn: () => {}, error: () => {} };
const HOUR_MS = 3_600_000;

/**
 * Reads the tools folder, starts the threads, and serves the tools on every transport that is connected.
 * @throws {CatalogError} with a line for each module that is at fault, unless `lenient`
 * @throws {OptionError} when an option has a value it cannot have
 */
export async function createServer(options: ServerOptions): Promise<TaskServer> {
  checkOptions(options);
  const { log = SILENT } = options;
  const folder = options.tools instanceof URL ? fileURLToPath(options.tools) : options.tools;
  const { isolation = 'thread', env = [], lockdown } = options;
  const place = { isolation, env: environment(env), lockdown: lockdown && { tools: folder, ...lockdown } };
  const catalog = await readCatalog(folder, {
    place,
    loadTimeoutMs: options.loadTimeoutMs ?? 10_000,
    leaveOut: options.lenient ? (problem) => log.warn({ problem }, `left out: ${problem}`) : undefined,
  });
  if (catalog.size === 0) throw new CatalogError([`${folder}: no module could be loaded`]);
  const named = [...catalog.values()].flatMap((tool) => tool.env);
  return new TaskServer(catalog, { ...place, env: environment([...env, ...named]) }, options, log);
}

/**
 * Tools that run as tasks in threads, for any number of connections and requests. What speaks a revision of the
 * protocol, and the SDK for it, is loaded when the first client speaks it.
 */
export class TaskServer implements Served {
  readonly #service: Service;
  readonly #connected = new Set<Server>();
  readonly #served = new Set<Transport>();
  #modern: Promise<Endpoint> | undefined;
  #closing: Promise<void> | undefined;

  /** Use {@link createServer}. */
  constructor(catalog: Catalog, place: Place, options: ServerOptions, log: Log) {
    const runner = new ThreadPool({
      place,
      threads: options.threads ?? availableParallelism(),
      ioConcurrency: options.ioConcurrency ?? 1000,
      graceMs: options.graceMs ?? 250,
      maxMemoryMb: options.maxMemoryMb,
      maxResultMb: options.maxResultMb ?? 10,
      recycleAfter: options.recycleAfter,
      tools: catalog,
      log,
    });
    const engine = new Engine({
      store: options.store ?? new MemoryStore(),
      runner,
      log,
      defaultTtlMs: options.defaultTtlMs ?? HOUR_MS,
      maxTtlMs: options.maxTtlMs ?? 24 * HOUR_MS,
      pollIntervalMs: options.pollIntervalMs ?? 1000,
      maxQueued: options.maxQueued ?? 200_000,
      maxQueuedPerOwner: options.maxQueuedPerOwner ?? 100_000,
      maxRunningPerOwner: options.maxRunningPerOwner ?? Infinity,
    });
    this.#service = {
      engine,
      toolbox: new Toolbox(catalog),
      lookUps: new LookUps(options.maxLookUpMisses ?? 100, log),
      log,
      ownerOf: options.owner ?? defaultOwner,
      pageSize: options.pageSize ?? 50,
      info: { name: options.name ?? 'mcp-taskpool', version: options.version ?? VERSION },
      instructions: options.instructions,
    };
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
    await serveGenerations(transport, this, () => this.#served.delete(transport));
  }

  /**
   * Serves the tools on a transport, by 2025-11-25 alone; gives the SDK server that is connected to it.
   * @param options.listTasks whether the client may list its tasks. Default true.
   */
  async connect(transport: Transport, options?: ConnectOptions): Promise<Server> {
    const { serverFor } = await import('./wire/2025-11-25-server.ts');
    const server = serverFor(this.#service, options);
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
  async modern(request: Request, options: Partial<ModernOptions> = {}): Promise<Response> {
    return (await this.#modernEndpoint()).fetch(request, options);
  }

  /** Answers what is received on a channel that stays, such as stdio, by 2026-07-28. */
  async openModern(channel: Channel): Promise<ChannelEndpoint> {
    return (await this.#modernEndpoint()).open(channel);
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
    this.#closing ??= this.#service.engine.close(drainMs).then(async () => {
      const modern = await this.#modern;
      await Promise.all([modern?.close(), ...[...this.#connected].map((server) => server.close())]);
      await Promise.all([...this.#served].map((transport) => transport.close()));
    });
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
