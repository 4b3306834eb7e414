import { getEventListeners } from 'node:events';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { InMemoryTransport } from '@modelcontextprotocol/sdk/inMemory.js';
import type { JSONRPCMessage } from '@modelcontextprotocol/sdk/types.js';
import { TaskClient } from 'mcp-taskpool/client';
import { expect, onTestFinished, test } from 'vitest';
import { task, text, tool, type Json } from './scripted-server.ts';

setFlagsFromString('--expose-gc');
const gc = runInNewContext('gc') as () => void;

function heapUsed(): number {
  gc();
  gc();
  return process.memoryUsage().heapUsed;
}

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

const { signal } = new AbortController();

/** All that one can do with a task. */
const USES: Record<string, (client: TaskClient) => Promise<unknown>> = {
  'is awaited': async (client) => client.startTask('work'),
  'is left alone once it is created': (client) => client.startTask('work').created(),
  'is cancelled': async (client) => {
    const handle = client.startTask('work');
    await handle.created();
    await handle.cancel();
  },
  'is watched by every listener, with a signal that all tasks share': async (client) => {
    const handle = client.startTask('work', {}, { signal, onProgress: () => {} });
    handle.onProgress(() => {});
    handle.onStatusChange(() => {});
    const waiting = handle.wait({ signal, timeoutMs: 60_000 });
    const statuses: string[] = [];
    const all = (async () => {
      for await (const { status } of handle) statuses.push(status);
    })();
    await Promise.all([handle, waiting, all]);
  },
};

test.each(Object.keys(USES))('nothing stays of 10,000 tasks, when each %s', LONG, async (name) => {
  const client = await connect();
  const run = async (times: number) => {
    for (let n = 0; n < times; n += 100) {
      await Promise.all(Array.from({ length: 100 }, () => USES[name]!(client)));
    }
  };
  await run(2000);
  const bytesPerTask: number[] = [];
  for (let before = heapUsed(); bytesPerTask.length < 2;) {
    await run(5000);
    const after = heapUsed();
    bytesPerTask.push((after - before) / 5000);
    before = after;
  }
  // A leak is in both halves, compiled code in one. An entry in a map, with the id, is 150 bytes at the least.
  expect(Math.min(...bytesPerTask)).toBeLessThan(50);
  expect(getEventListeners(signal, 'abort')).toEqual([]);
});
