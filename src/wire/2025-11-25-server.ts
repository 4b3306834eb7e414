import { Server } from '@modelcontextprotocol/sdk/server/index.js';
import type { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import { capabilities, Connection, type ConnectionOptions } from './2025-11-25.ts';
import { ownToolsOf } from './own-tools.ts';
import type { Service } from './service.ts';

/** An SDK server that answers from here, for one connection. */
export function serverFor(
  service: Service,
  { listTasks = true }: Pick<ConnectionOptions, 'listTasks'> = {},
): Server {
  const { info, instructions } = service;
  const server = new Server(info, {
    capabilities: capabilities(listTasks),
    ...(instructions !== undefined && { instructions }),
  });
  new Connection(server, service, { listTasks });
  return server;
}

/**
 * Gives an SDK `McpServer` our tools beside its own.
 * @throws {Error} when the server is connected
 */
export function addTo(mcpServer: McpServer, service: Service): void {
  const own = ownToolsOf(mcpServer);
  mcpServer.server.registerCapabilities(capabilities());
  new Connection(mcpServer.server, service, { ownTools: own });
}
