import type { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import type { Extra, OwnTools } from './2025-11-25.ts';

type Handler = (request: unknown, extra: Extra) => Promise<unknown>;

/**
 * The `tools/list` and `tools/call` handlers of an SDK server, for those that are about to take their
 * place. An `McpServer` sets them when its first tool is registered, and refuses to where others have
 * been set before; a tool that is registered and removed at once makes it do so now.
 * @throws {Error} when this version of the SDK keeps its handlers elsewhere
 */
export function ownToolsOf(mcpServer: McpServer): OwnTools {
  mcpServer.registerTool('mcp-taskpool-placeholder', {}, () => ({ content: [] })).remove();
  // The SDK has no public way to read a handler back.
  const { _requestHandlers: handlers } = mcpServer.server as unknown as {
    _requestHandlers?: Map<string, Handler>;
  };
  const list = handlers?.get('tools/list');
  const call = handlers?.get('tools/call');
  if (list === undefined || call === undefined) {
    throw new Error(
      'This version of @modelcontextprotocol/sdk keeps its request handlers elsewhere; 1.32 is known to work',
    );
  }
  return { list: list as OwnTools['list'], call: call as OwnTools['call'] };
}
