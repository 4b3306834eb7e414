import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { CallToolResultSchema, ElicitRequestSchema, McpError } from '@modelcontextprotocol/sdk/types.js';
import {
  completed,
  fieldsOf,
  type Answer,
  type Arguments,
  type Outcome,
  type Place,
  type RealClient,
  type RunningTask,
  type Session,
} from './client.ts';

/** The client of the SDK of 2025-11-25, with its experimental tasks. */
export const sdk1: RealClient = {
  name: '@modelcontextprotocol/sdk 1.32',
  means: { '2025-11-25': ['call', 'callFollowed', 'start', 'status', 'list', 'resume'] },
  async connect(_, place, answer): Promise<Session> {
    const client = await connect(place, answer);
    const { tasks } = client.experimental;
    return {
      call: (tool, args) =>
        failing(async () => completed(await client.callTool({ name: tool, arguments: args }))),
      async callFollowed(tool, args) {
        const progress: number[] = [];
        const onprogress = (report: { progress: number }) => void progress.push(report.progress);
        const result = await client.callTool({ name: tool, arguments: args }, undefined, { onprogress });
        return { outcome: completed(result), progress };
      },
      start: (tool, args) => start(client, tool, args),
      status: async (taskId) => (await tasks.getTask(taskId)).status,
      list: async () => (await tasks.listTasks()).tasks.map(({ taskId }) => taskId),
      reference: (taskId) => taskId,
      resume: (taskId) =>
        failing(async () => completed(await tasks.getTaskResult(taskId, CallToolResultSchema))),
      close: () => client.close(),
    };
  },
};

async function connect(place: Place, answer: Answer): Promise<Client> {
  const client = new Client(
    { name: 'real-client', version: '1' },
    { capabilities: { elicitation: { form: {} } } },
  );
  client.setRequestHandler(ElicitRequestSchema, ({ params }) => ({
    action: 'accept',
    content: answer(fieldsOf(params)),
  }));
  await client.connect(
    place.transport === 'stdio'
      ? new StdioClientTransport({ command: place.command, args: [...place.args] })
      : new StreamableHTTPClientTransport(new URL(place.url), {
          requestInit: { headers: place.authorization ? { authorization: place.authorization } : {} },
        }),
  );
  // The SDK learns here which tools require a task.
  await client.listTools();
  return client;
}

async function start(client: Client, tool: string, args: Arguments): Promise<RunningTask> {
  const stream = client.experimental.tasks.callToolStream(
    { name: tool, arguments: args },
    CallToolResultSchema,
    { task: {} },
  );
  const { value: first } = await stream.next();
  if (first?.type !== 'taskCreated') throw new Error(`${tool} was not made a task: ${JSON.stringify(first)}`);
  const { taskId } = first.task;
  return {
    taskId,
    outcome: follow(stream),
    cancel: async () => void (await client.experimental.tasks.cancelTask(taskId)),
  };
}

async function follow(
  stream: ReturnType<Client['experimental']['tasks']['callToolStream']>,
): Promise<Outcome> {
  let status = '';
  let statusMessage: string | undefined;
  for await (const message of stream) {
    if (message.type === 'taskStatus') ({ status, statusMessage } = message.task);
    if (message.type === 'result') return completed(message.result);
    if (message.type === 'error') {
      // The stream says of either only that it was so.
      if (status === 'cancelled') return { status };
      return { status: 'failed', message: statusMessage ?? message.error.message };
    }
  }
  throw new Error('The stream ended without an outcome');
}

async function failing(outcome: () => Promise<Outcome>): Promise<Outcome> {
  try {
    return await outcome();
  } catch (error) {
    if (error instanceof McpError) return { status: 'failed', message: error.message };
    throw error;
  }
}
