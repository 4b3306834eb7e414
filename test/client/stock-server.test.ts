import {
  InMemoryTaskMessageQueue,
  InMemoryTaskStore,
} from '@modelcontextprotocol/sdk/experimental/tasks/index.js';
import { InMemoryTransport } from '@modelcontextprotocol/sdk/inMemory.js';
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import { ElicitResultSchema, type CallToolResult } from '@modelcontextprotocol/sdk/types.js';
import { TaskCancelledError, TaskClient, type ConnectOptions } from 'mcp-taskpool/client';
import { expect, onTestFinished, test } from 'vitest';
import { z } from 'zod';

/** A client of the SDK's own server, whose one tool does as `run` says. */
async function connect(
  run: (ask: (message: string) => Promise<unknown>) => Promise<CallToolResult>,
  options: ConnectOptions = {},
): Promise<TaskClient> {
  const taskStore = new InMemoryTaskStore();
  const server = new McpServer(
    { name: 'stock', version: '1' },
    {
      capabilities: { tasks: { list: {}, cancel: {}, requests: { tools: { call: {} } } } },
      taskStore,
      taskMessageQueue: new InMemoryTaskMessageQueue(),
    },
  );
  server.registerTool('greet', { inputSchema: { name: z.string() } }, ({ name }) => ({
    content: [{ type: 'text', text: `Hello, ${name}!` }],
  }));
  server.experimental.tasks.registerToolTask(
    'work',
    { description: 'Works', execution: { taskSupport: 'required' } },
    {
      async createTask({ taskStore, taskRequestedTtl, sendRequest }) {
        const task = await taskStore.createTask({ ttl: taskRequestedTtl ?? 60_000, pollInterval: 20 });
        const ask = async (message: string) => {
          const requestedSchema = { type: 'object' as const, properties: {} };
          const params = { mode: 'form' as const, message, requestedSchema };
          // The type does not know the option that ties the question to its task.
          const options = { relatedTask: { taskId: task.taskId } } as object;
          return sendRequest({ method: 'elicitation/create', params }, ElicitResultSchema, options);
        };
        void run(ask).then((result) =>
          taskStore.storeTaskResult(task.taskId, result.isError ? 'failed' : 'completed', result),
        );
        return { task };
      },
      getTask: (extra) => extra.taskStore.getTask(extra.taskId),
      getTaskResult: async (extra) => (await extra.taskStore.getTaskResult(extra.taskId)) as CallToolResult,
    },
  );
  const [near, far] = InMemoryTransport.createLinkedPair();
  await server.connect(far);
  const client = await TaskClient.connect(near, options);
  onTestFinished(async () => {
    await client.close();
    taskStore.cleanup();
  });
  return client;
}

const done: CallToolResult = { content: [{ type: 'text', text: 'done' }] };

test('a task of the stock SDK server is started, followed and brought to its result', async () => {
  const client = await connect(async () => done);
  const handle = client.startTask('work', {}, { ttl: 5000 });
  const statuses: string[] = [];
  for await (const { status } of handle) statuses.push(status);
  expect(statuses[0]).toBe('submitted');
  expect(statuses.at(-1)).toBe('completed');
  expect((await handle).data).toBe('done');
  expect(await handle.status()).toMatchObject({ taskId: handle.taskId, status: 'completed', ttl: 5000 });
  expect(await client.listTasks()).toMatchObject([{ taskId: handle.taskId }]);
});

test('a task of the stock SDK server that fails resolves with what its tool says', async () => {
  const client = await connect(async () => ({ ...done, isError: true }));
  expect(await client.callTool('work')).toMatchObject({ isError: true, text: 'done' });
});

test('a task of the stock SDK server is cancelled', async () => {
  const client = await connect(() => new Promise(() => {}));
  const handle = client.startTask('work');
  const result = handle.result();
  expect(await handle.cancel()).toMatchObject({ status: 'cancelled' });
  await expect(result).rejects.toThrow(TaskCancelledError);
});

test('a task of the stock SDK server gets the input that it asks for', async () => {
  const client = await connect(
    async (ask) => ({ content: [{ type: 'text', text: JSON.stringify(await ask('Who?')) }] }),
    { onElicit: ({ message }) => ({ action: 'accept', content: { answer: `to ${message}` } }) },
  );
  const { text } = await client.startTask('work');
  expect(text).toContain('to Who?');
});

test('a tool of the stock SDK server that is no task is called plainly', async () => {
  const client = await connect(async () => done);
  const handle = client.startTask('greet', { name: 'Ada' });
  expect((await handle).data).toBe('Hello, Ada!');
  expect(handle.mode).toBe('call');
});
