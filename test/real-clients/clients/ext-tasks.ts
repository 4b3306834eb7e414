import type { JSONRPCMessage } from '@modelcontextprotocol/client';
import {
  JsonRpcResponseError,
  createTaskSessionFromClient,
  toolDeclarationFromMcpTool,
  type RawClientDispatch,
  type SerializedTaskReference,
  type TaskOutcome,
} from '@modelcontextprotocol/ext-tasks/client';
import type { TaskId } from '@modelcontextprotocol/ext-tasks/core';
import { completed, fieldsOf, type Outcome, type RealClient, type Session } from './client.ts';
import { CAPABILITIES, CLIENT_INFO, connectSdk2 } from './sdk-2.ts';

/** The official client of tasks, of both generations. */
export const extTasks: RealClient = {
  name: '@modelcontextprotocol/ext-tasks 0.2',
  means: {
    '2025-11-25': ['call', 'start', 'status', 'list', 'resume'],
    '2026-07-28': ['call', 'start', 'status', 'resume'],
  },
  async connect(generation, place, answer): Promise<Session> {
    const { client, transport } = await connectSdk2(generation, place, answer);
    const { tools } = await client.listTools();
    const declarations = new Map(tools.map((tool) => [tool.name, toolDeclarationFromMcpTool(tool)]));
    const references = new Map<string, string>();
    const session = createTaskSessionFromClient(client, {
      endpointId: 'mcp-taskpool',
      tools: { currentTool: (name) => declarations.get(name) },
      onInputRequest: async (request) =>
        ({ action: 'accept', content: answer(fieldsOf(request.params)) }) as never,
      ...(generation === '2026-07-28' && {
        rawDispatch: rawDispatchOf(transport),
        v2RequestFraming: {
          protocolVersion: generation,
          clientInfo: CLIENT_INFO,
          clientCapabilities: CAPABILITIES,
        },
      }),
    });
    return {
      async call(tool, args) {
        try {
          const execution = await session.callTool(tool, args);
          return ended((await execution.settle()).outcome);
        } catch (error) {
          if (error instanceof JsonRpcResponseError) return { status: 'failed', message: error.message };
          throw error;
        }
      },
      async start(tool, args) {
        const execution = await session.callTool(tool, args, { task: { preference: 'require' } });
        if (execution.kind !== 'task') throw new Error(`${tool} was not made a task`);
        const { taskId } = execution.handle;
        references.set(taskId, JSON.stringify(execution.serializeReference()));
        return {
          taskId,
          outcome: execution.settle().then(({ outcome }) => ended(outcome)),
          cancel: () => execution.cancel(),
        };
      },
      status: async (taskId) => (await session.task(taskId as TaskId).snapshot()).status,
      list: async () => (await session.listTasks()).tasks.map(({ taskId }) => taskId),
      reference: (taskId) => references.get(taskId)!,
      async resume(reference) {
        const execution = await session.resumeTask(JSON.parse(reference) as SerializedTaskReference);
        return ended((await execution.settle()).outcome);
      },
      async close() {
        await session.close();
        await client.close();
      },
    };
  },
};

function ended(outcome: TaskOutcome<unknown>): Outcome {
  switch (outcome.status) {
    case 'completed':
      return completed(outcome.result);
    case 'failed':
      return { status: 'failed', message: outcome.error.message };
    case 'cancelled':
      return { status: 'cancelled' };
  }
}

/**
 * Sends requests past the SDK's client, which refuses what it has no schema for: the results of the tasks extension.
 * Their ids are strings, as the SDK's are not.
 */
function rawDispatchOf(transport: Transport): RawClientDispatch {
  const pending = new Map<string, (message: JSONRPCMessage) => void>();
  const { onmessage } = transport;
  transport.onmessage = (message, ...extra) => {
    const settle = 'id' in message ? pending.get(String(message.id)) : undefined;
    if (settle === undefined) onmessage?.call(transport, message, ...extra);
    else settle(message);
  };
  let last = 0;
  return async (request, { signal } = {}) => {
    const id = `raw-${++last}`;
    let abort = () => {};
    const response = new Promise<JSONRPCMessage>((resolve, reject) => {
      pending.set(id, resolve);
      abort = () => reject(signal!.reason as Error);
    });
    signal?.addEventListener('abort', abort);
    try {
      await transport.send({ jsonrpc: '2.0', id, ...(request as { method: string }) });
      const message = await response;
      if ('error' in message) return { kind: 'error', error: message.error as never };
      return { kind: 'result', result: (message as { result: unknown }).result as never };
    } finally {
      pending.delete(id);
      signal?.removeEventListener('abort', abort);
    }
  };
}

type Transport = Awaited<ReturnType<typeof connectSdk2>>['transport'];
