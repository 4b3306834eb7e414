import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { InMemoryTransport } from '@modelcontextprotocol/sdk/inMemory.js';
import {
  CallToolResultSchema,
  CreateTaskResultSchema,
  GetTaskResultSchema,
} from '@modelcontextprotocol/sdk/types.js';
import { createServer, TASK_META, type ServerOptions, type TaskMeta } from 'mcp-taskpool';
import { onTestFinished } from 'vitest';
import { folderWith, toolSource } from '../folder.ts';

type Messages = { method?: string; params?: Record<string, unknown> }[];

/** A server over tools of these options, and a client of the SDK's on it. */
export async function serve(tools: Record<string, string>, options: Partial<ServerOptions> = {}) {
  const sources = Object.entries(tools).map(([name, source]) => [`${name}.js`, toolSource(source)]);
  const folder = await folderWith(Object.fromEntries(sources) as Record<string, string>);
  const server = await createServer({ tools: folder, threads: 1, ...options });
  onTestFinished(() => server.close({ drainMs: 0 }));
  const connect = async (owner?: string) => {
    const [near, far] = InMemoryTransport.createLinkedPair();
    if (owner !== undefined) far.sessionId = owner;
    await server.connect(far);
    const received: Messages = [];
    const client = new Client({ name: 'test', version: '1' });
    await client.connect(near);
    const { onmessage } = near;
    near.onmessage = (message, extra) => {
      received.push(message as Messages[number]);
      onmessage?.(message, extra);
    };
    const ask = (method: string, params: object) => ({ method, params: params as Record<string, unknown> });
    return {
      received,
      async start(name: string, args: object = {}): Promise<string> {
        const params = { name, arguments: args, task: {}, _meta: { progressToken: name } };
        return (await client.request(ask('tools/call', params), CreateTaskResultSchema)).task.taskId;
      },
      result: (taskId: string) => client.request(ask('tasks/result', { taskId }), CallToolResultSchema),
      get: (taskId: string) => client.request(ask('tasks/get', { taskId }), GetTaskResultSchema),
      cancel: (taskId: string) => client.request(ask('tasks/cancel', { taskId }), GetTaskResultSchema),
      /** Resolves once a task has reported progress, and so is running. */
      running: async (taskId: string) => {
        while (
          !received.some(
            ({ params }) => JSON.stringify(params ?? {}).includes(taskId) && 'progress' in params!,
          )
        ) {
          await new Promise(setImmediate);
        }
      },
    };
  };
  return { server, connect };
}

export const metaOf = (result: { _meta?: Record<string, unknown> | undefined }) =>
  result._meta?.[TASK_META] as TaskMeta;
