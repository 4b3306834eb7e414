import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { InMemoryTransport } from '@modelcontextprotocol/sdk/inMemory.js';
import {
  CallToolResultSchema,
  CreateTaskResultSchema,
  type CallToolResult,
} from '@modelcontextprotocol/sdk/types.js';
import { createServer, type ServerOptions } from 'mcp-taskpool';
import { TaskClient, type ToolTask } from 'mcp-taskpool/client';
import { CLI } from './places.ts';

/** A client with its server; disposing of it ends both. */
export interface Pair<C> {
  readonly client: C;
  [Symbol.asyncDispose](): Promise<void>;
}

/** Our server and our client in one process. */
export async function inMemory(options: ServerOptions): Promise<Pair<TaskClient>> {
  const { server, transport } = await served(options);
  const client = await TaskClient.connect(transport);
  return {
    client,
    async [Symbol.asyncDispose]() {
      await client.close();
      await server.close({ drainMs: 0 });
    },
  };
}

/** Our server, and the SDK's own client. */
export async function inMemoryWithSdkClient(options: ServerOptions): Promise<Pair<Client>> {
  const { server, transport } = await served(options);
  const client = sdkClient();
  await client.connect(transport);
  return {
    client,
    async [Symbol.asyncDispose]() {
      await client.close();
      await server.close({ drainMs: 0 });
    },
  };
}

/** Our server as a child process, and our client. */
export function overStdio(tools: string): Promise<TaskClient> {
  return TaskClient.connect({
    command: process.execPath,
    args: [CLI, 'serve', '--tools', tools, '--store', 'memory', '--drain', '0'],
  });
}

/** Starts an endless tool; resolves when it computes. */
export async function spin(client: TaskClient, tool: 'obey' | 'ignore'): Promise<{ task: ToolTask }> {
  const task = client.startTask(tool, {});
  await new Promise<void>((resolve, reject) => {
    task.onProgress(() => resolve());
    task.wait().then(({ status }) => reject(new Error(`${tool} is ${status}`)), reject);
  });
  return { task };
}

export function sdkClient(): Client {
  return new Client({ name: 'bench', version: '0' });
}

/** Starts a task and gets its result with the SDK's own client, in as few requests as there can be. */
export async function runTask(
  client: Client,
  name: string,
  args: Record<string, unknown>,
): Promise<CallToolResult> {
  const params = { name, arguments: args, task: {} };
  const { task } = await client.request({ method: 'tools/call', params }, CreateTaskResultSchema);
  const { taskId } = task;
  return client.request({ method: 'tasks/result', params: { taskId } }, CallToolResultSchema);
}

async function served(options: ServerOptions) {
  const server = await createServer(options);
  const [near, far] = InMemoryTransport.createLinkedPair();
  await server.connect(far);
  return { server, transport: near };
}
