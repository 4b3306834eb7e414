import { getEventListeners } from 'node:events';
import { InMemoryTransport } from '@modelcontextprotocol/sdk/inMemory.js';
import type { JSONRPCMessage } from '@modelcontextprotocol/sdk/types.js';
import { TaskClient } from 'mcp-taskpool/client';
import { expect, onTestFinished, test } from 'vitest';
import { USES, bytesLeft, signal } from './leak-check.ts';
import { created, detailed, discovered, form, said } from './modern-server.ts';
import type { Json } from './scripted-server.ts';

/** A client of a server that keeps nothing, and answers at once. */
async function connect(): Promise<TaskClient> {
  const [near, far] = InMemoryTransport.createLinkedPair();
  let count = 0;
  const send = (message: Json) => void far.send(message as JSONRPCMessage).catch(() => {});
  const notify = (method: string, params: Json) => send({ jsonrpc: '2.0', method, params });
  const answered = new Set<string>();
  const ended = (taskId: string) => detailed(taskId, 'completed', { result: said('done') }, 5);
  const answers: Record<string, (params: Json, id: number) => unknown> = {
    'server/discover': () => discovered(),
    'tools/call': ({ name, _meta }) => {
      notify('notifications/progress', { progressToken: _meta.progressToken, progress: 1 });
      // A string of its own for each task, not a slice of another.
      return created(`${name}-${++count}-${'x'.repeat(40)}`);
    },
    'tasks/get': ({ taskId }) =>
      String(taskId).startsWith('ask') && !answered.delete(taskId as string)
        ? detailed(taskId as string, 'input_required', { inputRequests: { q: form('?') } }, 1)
        : ended(taskId as string),
    'tasks/update': ({ taskId }) => {
      answered.add(taskId as string);
      return { resultType: 'complete' };
    },
    'tasks/cancel': () => ({ resultType: 'complete' }),
    'subscriptions/listen': ({ notifications }, id) => {
      const _meta = { 'io.modelcontextprotocol/subscriptionId': id };
      notify('notifications/subscriptions/acknowledged', { _meta, notifications });
      return undefined;
    },
  };
  far.onmessage = (message) => {
    const { id, method, params = {} } = message as Json;
    if (id === undefined) return;
    const result = answers[method as string]!(params as Json, id as number);
    if (result !== undefined) send({ jsonrpc: '2.0', id, result });
  };
  await far.start();
  const client = await TaskClient.connect(near, {
    protocol: '2026-07-28',
    onElicit: () => ({ action: 'decline' }),
  });
  onTestFinished(() => client.close());
  return client;
}

const ALL: typeof USES = {
  ...USES,
  'asks something': async (client) => client.startTask('ask'),
};

const LONG = { timeout: 120_000 };

test.each(Object.keys(ALL))('nothing stays of 10,000 tasks, when each %s', LONG, async (name) => {
  const client = await connect();
  expect(await bytesLeft(() => ALL[name]!(client))).toBeLessThan(50);
  expect(getEventListeners(signal, 'abort')).toEqual([]);
});
