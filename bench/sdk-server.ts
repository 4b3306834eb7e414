import { randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import { StdioServerTransport } from '@modelcontextprotocol/sdk/server/stdio.js';
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';
import { z } from 'zod';

/*
 * The least that the SDK needs for a server with one tool that does nothing: what ours is measured beside. Over
 * stdio, or with `http` over Streamable HTTP, with sessions; then its URL is written to standard error.
 */

function server(): McpServer {
  const server = new McpServer({ name: 'sdk', version: '0' });
  server.registerTool('noop', { inputSchema: { text: z.string().optional() } }, () => ({ content: [] }));
  return server;
}

if (process.argv[2] === 'http') {
  const sessions = new Map<string, StreamableHTTPServerTransport>();
  const http = createServer((request, response) => {
    const serve = async () => {
      const id = request.headers['mcp-session-id'];
      const known = typeof id === 'string' ? sessions.get(id) : undefined;
      if (known !== undefined) return known.handleRequest(request, response);
      const transport = new StreamableHTTPServerTransport({
        sessionIdGenerator: () => randomUUID(),
        onsessioninitialized: (id) => void sessions.set(id, transport),
      });
      await server().connect(transport);
      return transport.handleRequest(request, response);
    };
    void serve();
  });
  http.listen(0, '127.0.0.1', () => {
    console.error(`http://127.0.0.1:${(http.address() as AddressInfo).port}/mcp`);
  });
} else {
  await server().connect(new StdioServerTransport());
}
