import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import type { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import { Server } from '@modelcontextprotocol/sdk/server/index.js';
import type { Transport } from '@modelcontextprotocol/sdk/shared/transport.js';
import { CatalogError } from './errors.ts';
import { checkOptions, type ServerOptions } from './options.ts';
import { readCatalog, type Catalog } from './pool/catalog.ts';
import { environment, type Place } from './pool/place.ts';
import { ThreadPool } from './pool/pool.ts';
import { MemoryStore } from './stores/memory.ts';
import { Engine } from './tasks/engine.ts';
import type { Log } from './tasks/log.ts';
import { CAPABILITIES, Connection, type Extra, type Service } from './wire/2025-11-25.ts';
import { Heartbeats } from './wire/heartbeats.ts';
import { LookUps } from './wire/look-ups.ts';
import { ownToolsOf } from './wire/own-tools.ts';
import { TaskTools } from './wire/task-tools.ts';
import { TASK_TOOL_NAMES } from './wire/task-tools-schema.ts';
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
    reserved: options.taskTools ? TASK_TOOL_NAMES : [],
    leaveOut: options.lenient ? (problem) => log.warn({ problem }, `left out: ${problem}`) : undefined,
  });
  if (catalog.size === 0) throw new CatalogError([`${folder}: no module could be loaded`]);
  const named = [...catalog.values()].flatMap((tool) => tool.env);
  return new TaskServer(catalog, { ...place, env: environment([...env, ...named]) }, options, log);
}

/** Tools that run as tasks in threads, for any number of connections. */
export class TaskServer {
  readonly #options: ServerOptions;
  readonly #service: Service;
  readonly #connected = new Set<Server>();
  #closing: Promise<void> | undefined;

  /** Use {@link createServer}. */
  constructor(catalog: Catalog, place: Place, options: ServerOptions, log: Log) {
    this.#options = options;
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
    const shared = {
      engine,
      toolbox: new Toolbox(catalog),
      lookUps: new LookUps(options.maxLookUpMisses ?? 100, log),
      log,
      pageSize: options.pageSize ?? 50,
    };
    this.#service = {
      ...shared,
      heartbeats: new Heartbeats(),
      taskTools: options.taskTools ? new TaskTools(shared) : undefined,
      ownerOf: options.owner ?? defaultOwner,
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

  /** Serves the tools on a transport; gives the SDK server that is connected to it. */
  async connect(transport: Transport): Promise<Server> {
    const { name = 'mcp-taskpool', version = VERSION, instructions } = this.#options;
    const server = new Server(
      { name, version },
      { capabilities: CAPABILITIES, ...(instructions !== undefined && { instructions }) },
    );
    new Connection(server, this.#service);
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
  addTo(mcpServer: McpServer): void {
    const own = ownToolsOf(mcpServer);
    mcpServer.server.registerCapabilities(CAPABILITIES);
    new Connection(mcpServer.server, this.#service, own);
  }

  /**
   * Refuses new work, fails what is queued, lets what runs finish, then ends the threads and the
   * connections. Calling it again waits for the same end.
   * @param options.drainMs how long what runs may take; the rest fails as interrupted. Default 10,000.
   */
  close({ drainMs = 10_000 }: { drainMs?: number } = {}): Promise<void> {
    this.#closing ??= this.#service.engine.close(drainMs).then(async () => {
      await Promise.all([...this.#connected].map((server) => server.close()));
    });
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

function defaultOwner({ authInfo, sessionId }: Extra): string {
  if (authInfo !== undefined) {
    // The issuer and the subject of a token that has them: a client may have many users.
    const { iss, sub } = authInfo.extra ?? {};
    return `token:${JSON.stringify([iss ?? null, sub ?? null, authInfo.clientId])}`;
  }
  return sessionId === undefined ? 'local' : `session:${sessionId}`;
}
