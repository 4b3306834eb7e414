import { McpServer, type Server } from '@modelcontextprotocol/server';
import type { Service } from './service.ts';

/** The keyword of a schema that has clients repeat an argument in a header. */
const KEYWORD = '"x-mcp-header"';

/**
 * Has the SDK's HTTP handler compare the headers `Mcp-Param-…` with the arguments they repeat
 * (basic/transports/streamable-http, "Server Behavior for Custom Headers"). It does so for an `McpServer`, which it
 * asks for the schemas of tools: this one answers for the server within.
 */
class SchemaServer extends McpServer {
  override readonly server: Server;
  readonly #service: Service;

  constructor(server: Server, service: Service) {
    super(service.info);
    this.server = server;
    this.#service = service;
  }

  override toolInputSchemaJson(name: string): Record<string, unknown> | undefined {
    return this.#service.toolbox.get(name)?.definition.inputSchema;
  }
}

/** What makes a server for a request of this service. */
export function withParamHeaders(service: Service, make: () => Server): () => Server | McpServer {
  const some = [...service.toolbox.values()].some(({ definition }) =>
    JSON.stringify(definition.inputSchema).includes(KEYWORD),
  );
  // Most services have none, and are spared it.
  return some ? () => new SchemaServer(make(), service) : make;
}
