import type { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import type { Extra } from './2025-11-25.ts';

type Handler<Result> = (request: unknown, extra: Extra) => Promise<Result>;

/** The handlers that a server had for what is now answered for it. */
export interface OwnTools {
  readonly list: Handler<{ tools: { name: string }[] }>;
  readonly call: Handler<Record<string, unknown>>;
  readonly setLevel: Handler<unknown> | undefined;
}

/**
 * The handlers of an SDK server for those requests that ours are about to take. An `McpServer` sets
 * them when its first tool is registered, and refuses to where others have been set before; a tool
 * that is registered and removed at once makes it do so now.
 * @throws {Error} when the server is connected, or this version of the SDK keeps its handlers elsewhere
 */
export function ownToolsOf(mcpServer: McpServer): OwnTools {
  if (mcpServer.isConnected()) {
    throw new Error('The McpServer is connected: give it the tools before you connect it');
  }
  mcpServer.registerTool('mcp-taskpool-placeholder', {}, () => ({ content: [] })).remove();
  // The SDK has no public way to read a handler back.
  const { _requestHandlers: handlers } = mcpServer.server as unknown as {
    _requestHandlers?: Map<string, Handler<never>>;
  };
  const [list, call] = [handlers?.get('tools/list'), handlers?.get('tools/call')];
  if (list === undefined || call === undefined) {
    throw new Error(
      'This version of @modelcontextprotocol/sdk keeps its request handlers elsewhere; 1.32 is known to work',
    );
  }
  return { list, call, setLevel: handlers?.get('logging/setLevel') };
}
