import {
  InMemoryTaskMessageQueue,
  InMemoryTaskStore,
  type ToolTaskHandler,
} from '@modelcontextprotocol/sdk/experimental/tasks';
import type { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { InMemoryTransport } from '@modelcontextprotocol/sdk/inMemory.js';
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import type { CallToolResult } from '@modelcontextprotocol/sdk/types.js';
import type { Piscina } from 'piscina';
import type { z } from 'zod';
import { sdkClient, type Pair } from './pairs.ts';

/**
 * What the SDK offers for tasks, put together as its documentation does, with a tool that runs in Piscina
 * and the SDK's own client.
 */
export async function stock(
  piscina: Piscina,
  name: string,
  input: z.ZodRawShape,
  run: (args: Record<string, unknown>) => Promise<CallToolResult>,
): Promise<Pair<Client>> {
  const taskStore = new InMemoryTaskStore();
  const server = new McpServer(
    { name: 'stock', version: '0' },
    {
      capabilities: { tasks: { requests: { tools: { call: {} } } } },
      taskStore,
      taskMessageQueue: new InMemoryTaskMessageQueue(),
    },
  );
  const handler: ToolTaskHandler<z.ZodRawShape> = {
    async createTask(args, { taskStore }) {
      const task = await taskStore.createTask({});
      const finish = (result: CallToolResult) => taskStore.storeTaskResult(task.taskId, 'completed', result);
      // A failure must end the benchmark: as an unhandled rejection it does.
      void run(args).then(finish);
      return { task };
    },
    getTask: (_args, { taskStore, taskId }) => taskStore.getTask(taskId),
    getTaskResult: async (_args, { taskStore, taskId }) =>
      (await taskStore.getTaskResult(taskId)) as CallToolResult,
  };
  const config = { inputSchema: input, execution: { taskSupport: 'required' } } as const;
  server.experimental.tasks.registerToolTask(name, config, handler);
  const [near, far] = InMemoryTransport.createLinkedPair();
  await server.connect(far);
  const client = sdkClient();
  await client.connect(near);
  return {
    client,
    async [Symbol.asyncDispose]() {
      await client.close();
      await server.close();
      taskStore.cleanup();
      await piscina.destroy();
    },
  };
}
