import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';
import { ConnectionClosedError, TaskClient, type ConnectOptions } from 'mcp-taskpool/client';
import { expect, onTestFinished, test } from 'vitest';
import { newGate, serveFixturesOnce } from '../wire/fixtures.ts';

interface Exchange {
  request: IncomingMessage;
  response: ServerResponse;
  /** The JSON-RPC method, if it is a POST. */
  method: string | undefined;
}

/** Our server over Streamable HTTP, for one session; it keeps every exchange. */
async function serveHttp() {
  const server = await serveFixturesOnce();
  const transport = new StreamableHTTPServerTransport({ sessionIdGenerator: () => 'the-session' });
  await server.connect(transport);
  const exchanges: Exchange[] = [];
  const waiting = new Set<() => void>();
  const http = createServer((request, response) => {
    void (async () => {
      let body = '';
      for await (const chunk of request.setEncoding('utf8')) body += String(chunk);
      const message = body === '' ? undefined : (JSON.parse(body) as { method?: string });
      // The promise of `handleRequest` takes as long as the response; its head is what tests wait for.
      const writeHead = response.writeHead.bind(response) as (...args: unknown[]) => ServerResponse;
      response.writeHead = (...args: unknown[]) => {
        exchanges.push({ request, response, method: message?.method });
        for (const look of [...waiting]) look();
        return writeHead(...args);
      };
      await transport.handleRequest(request, response, message);
    })();
  });
  http.listen(0, '127.0.0.1');
  await once(http, 'listening');
  onTestFinished(async () => {
    http.closeAllConnections();
    http.close();
    await once(http, 'close');
  });
  const all = (method: string) => exchanges.filter((exchange) => exchange.method === method);
  return {
    url: `http://127.0.0.1:${(http.address() as AddressInfo).port}/mcp`,
    exchanges,
    all,
    /** Resolves with the n-th exchange of this method, from 1, when its answer has begun. */
    nth: async (method: string, n = 1): Promise<Exchange> => {
      while (all(method).length < n) await new Promise<void>((resolve) => waiting.add(resolve));
      return all(method)[n - 1]!;
    },
  };
}

async function connect(url: string, options: ConnectOptions = {}): Promise<TaskClient> {
  const client = await TaskClient.connect({ url, headers: { 'x-key': 'secret' } }, options);
  onTestFinished(() => client.close());
  return client;
}

test('a client over HTTP sends its headers, runs tasks, and ends its session', async () => {
  const { url, exchanges } = await serveHttp();
  const client = await connect(url);
  const heard: number[] = [];
  const task = client.startTask('report_once', {}, { onProgress: ({ progress }) => heard.push(progress) });
  expect((await task).data).toBe('done');
  expect(task.mode).toBe('task');
  expect((await client.callTool('add', { a: 1 })).data).toEqual({ sum: 2 });
  await client.close();
  expect(exchanges.every(({ request }) => request.headers['x-key'] === 'secret')).toBe(true);
  expect(exchanges.at(-1)?.request).toMatchObject({ method: 'DELETE' });
});

test('a result whose stream is cut is asked for again', async () => {
  const { url, nth } = await serveHttp();
  const client = await connect(url);
  const gate = await newGate();
  const task = client.startTask('wait_for_file', { path: gate.path });
  const result = task.result();
  const { response } = await nth('tasks/result');
  // By then the client has the head of the answer.
  await client.ping();
  response.socket!.destroy();
  // It is polled, until the gate opens.
  await nth('tasks/get');
  gate.open();
  expect((await result).data).toBe('the file exists');
});

test('a result whose stream ends without it is asked for again, after its time', async () => {
  const { url, nth } = await serveHttp();
  const client = await connect(url, { resultTimeoutMs: 200 });
  const gate = await newGate();
  const result = client.startTask('wait_for_file', { path: gate.path }).result();
  const { response } = await nth('tasks/result');
  await client.ping();
  response.end();
  await nth('tasks/result', 2);
  gate.open();
  expect((await result).data).toBe('the file exists');
});

test('closing a client over HTTP rejects what is pending', async () => {
  const { url, nth } = await serveHttp();
  const client = await connect(url);
  const { path } = await newGate();
  const result = client.startTask('wait_for_file', { path }).result();
  const call = client.callTool('wait_for_file', { path });
  await Promise.all([nth('tasks/result'), nth('tools/call', 2)]);
  const settled = Promise.allSettled([result, call]);
  await client.close();
  const reason = expect.any(ConnectionClosedError);
  expect(await settled).toEqual([
    { status: 'rejected', reason },
    { status: 'rejected', reason },
  ]);
});

test('a server that is not there is an error, in its own words', async () => {
  const http = createServer();
  http.listen(0, '127.0.0.1');
  await once(http, 'listening');
  const { port } = http.address() as AddressInfo;
  http.close();
  await once(http, 'close');
  await expect(TaskClient.connect({ url: `http://127.0.0.1:${port}/mcp` })).rejects.toThrow('fetch failed');
});
