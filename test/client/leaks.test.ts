import { getEventListeners } from 'node:events';
import { InMemoryTransport } from '@modelcontextprotocol/sdk/inMemory.js';
import type { JSONRPCMessage } from '@modelcontextprotocol/sdk/types.js';
import { TaskClient } from 'mcp-taskpool/client';
import { expect, onTestFinished, test } from 'vitest';
import { USES, bytesLeft, signal } from './leak-check.ts';
import { task, text, tool, type Json } from './scripted-server.ts';

/** A client of a server that keeps nothing, and answers at once. */
async function connect(): Promise<TaskClient> {
  const [near, far] = InMemoryTransport.createLinkedPair();
  let created = 0;
  const send = (message: Json) => void far.send(message as JSONRPCMessage).catch(() => {});
  const answers: Record<string, (params: Json) => unknown> = {
    initialize: () => ({
      protocolVersion: '2025-11-25',
      serverInfo: { name: 'forgetful', version: '1' },
      capabilities: { tools: {}, tasks: { list: {}, cancel: {}, requests: { tools: { call: {} } } } },
    }),
    'tools/list': () => ({ tools: [tool('work', 'optional')] }),
    'tools/call': ({ _meta }) => {
      // A string of its own for each task, not a slice of another.
      const taskId = `${++created}-${'x'.repeat(40)}`;
      send({
        jsonrpc: '2.0',
        method: 'notifications/progress',
        params: { progressToken: _meta.progressToken, progress: 1 },
      });
      return { task: task(taskId, 'working') };
    },
    'tasks/get': ({ taskId }) => task(taskId, 'working'),
    'tasks/cancel': ({ taskId }) => task(taskId, 'cancelled', {}, 5),
    'tasks/result': ({ taskId }) => {
      send({
        jsonrpc: '2.0',
        method: 'notifications/tasks/status',
        params: task(taskId, 'completed', {}, 5),
      });
      return text('done');
    },
  };
  far.onmessage = (message) => {
    const { id, method, params = {} } = message as Json;
    if (id !== undefined) send({ jsonrpc: '2.0', id, result: answers[method as string]!(params as Json) });
  };
  await far.start();
  const client = await TaskClient.connect(near);
  onTestFinished(() => client.close());
  return client;
}

const LONG = { timeout: 120_000 };

test.each(Object.keys(USES))('nothing stays of 10,000 tasks, when each %s', LONG, async (name) => {
  const client = await connect();
  expect(await bytesLeft(() => USES[name]!(client))).toBeLessThan(50);
  expect(getEventListeners(signal, 'abort')).toEqual([]);
});
