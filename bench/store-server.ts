import { StdioServerTransport } from '@modelcontextprotocol/sdk/server/stdio.js';
import { SqliteStore, createServer } from 'mcp-taskpool';

/** A server over stdio whose store is a file: `node store-server.js TOOLS FILE`. */
const [tools, path] = process.argv.slice(2) as [string, string];
const server = await createServer({ tools, isolation: 'process', store: await SqliteStore.open({ path }) });
await server.connect(new StdioServerTransport());
process.stdin.once('end', () => void server.close({ drainMs: 0 }));
