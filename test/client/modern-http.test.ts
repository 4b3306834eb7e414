import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import {
  ConnectionClosedError,
  InvalidAnswerError,
  TaskClient,
  type ConnectOptions,
} from 'mcp-taskpool/client';
import { describe, expect, onTestFinished, test } from 'vitest';
import { overHttp, type Framing } from './modern-channels.ts';
import {
  ModernServer,
  Refusal,
  acknowledge,
  created,
  detailed,
  said,
  tell,
  type Answer,
} from './modern-server.ts';
import { NEVER, tool, type Json } from './scripted-server.ts';

interface Options extends ConnectOptions {
  framing?: Framing;
  /** Answers a message with anything; true if it did. */
  raw?: (message: Json, response: ServerResponse) => boolean;
}

async function connect(answers: Record<string, Answer>, { framing, raw, ...options }: Options = {}) {
  const server = new ModernServer(answers);
  const url = await overHttp(server, framing, raw);
  const client = await TaskClient.connect(
    { url, headers: { 'X-Key': 'secret', 'Mcp-Method': 'wrong' } },
    { protocol: '2026-07-28', ...options },
  );
  onTestFinished(() => client.close());
  return { client, server, url };
}

test('every request carries the headers that mirror it, and those of the target', async () => {
  const { client, server } = await connect({
    'tools/call': ({ name }) => (name === 'grüß' ? said('hello') : created('task ü')),
    'tasks/get': () => detailed('task ü', 'completed', { result: said('done') }),
  });
  // The server refuses what does not match.
  expect((await client.callTool('grüß')).text).toBe('hello');
  expect((await client.callTool('work')).text).toBe('done');
  const base64 = (text: string) => `=?base64?${Buffer.from(text).toString('base64')}?=`;
  expect(server.all('tools/call')[0]!.headers).toMatchObject({
    'x-key': 'secret',
    'mcp-method': 'tools/call',
    'mcp-name': base64('grüß'),
    'mcp-protocol-version': '2026-07-28',
    accept: 'application/json, text/event-stream',
  });
  expect(server.all('tools/call')[1]!.headers).toMatchObject({ 'mcp-name': 'work' });
  expect(server.all('tasks/get')[0]!.headers).toMatchObject({ 'mcp-name': base64('task ü') });
});

test.each(['json', 'sse'] as const)('requests in turn share connections, answered as %s', async (framing) => {
  const sockets = new Set<unknown>();
  const { client } = await connect(
    { 'tools/call': () => said('hello') },
    {
      framing,
      raw: (_, response) => {
        sockets.add(response.socket);
        return false;
      },
    },
  );
  for (let n = 0; n < 30; n++) await client.callTool('greet');
  // One is not back yet, now and then, when the next request goes out.
  expect(sockets.size).toBeLessThan(10);
});

describe('taking a call back', () => {
  test('closes its stream', async () => {
    const { client, server } = await connect({
      'tools/call': ({ _meta }, { notify }) => {
        notify('notifications/progress', { progressToken: _meta.progressToken, progress: 1 });
        return NEVER;
      },
    });
    const handle = client.startTask('work');
    const { signal } = await server.nth('tools/call');
    expect(await handle.cancel()).toMatchObject({ status: 'cancelled' });
    if (!signal.aborted) await once(signal, 'abort');
    // No message is expected ("Transport-Specific Cancellation").
    expect(server.heard.map(({ method }) => method)).not.toContain('notifications/cancelled');
  });

  test('closes the connection where there is no stream yet', async () => {
    const { client, server } = await connect({ 'tools/call': () => NEVER });
    const stop = new AbortController();
    const call = client.callTool('work', {}, { signal: stop.signal });
    const { signal } = await server.nth('tools/call');
    stop.abort(new Error('enough'));
    await expect(call).rejects.toThrow('enough');
    if (!signal.aborted) await once(signal, 'abort');
  });

  test('is what closing the client does', async () => {
    const { client, server } = await connect({
      'tools/call': ({ name }) => (name === 'work' ? created('t1') : NEVER),
      'tasks/get': () => detailed('t1', 'working'),
      'subscriptions/listen': ({ notifications }, exchange) => {
        acknowledge(exchange, notifications.taskIds as string[]);
        return NEVER;
      },
    });
    const pending = Promise.allSettled([client.callTool('plain'), client.callTool('work')]);
    const streams = await Promise.all([server.nth('tools/call', 2), server.nth('subscriptions/listen')]);
    await server.nth('tasks/get');
    await client.close();
    const reason = expect.any(ConnectionClosedError);
    expect(await pending).toEqual([
      { status: 'rejected', reason },
      { status: 'rejected', reason },
    ]);
    const [, { signal }] = streams;
    if (!signal.aborted) await once(signal, 'abort');
  });
});

describe('what gets lost', () => {
  test('a stream of notifications is opened again, and the task found where it is', async () => {
    const { client, server } = await connect({
      'tools/call': () => created('t1', { pollIntervalMs: 60_000 }),
      'tasks/get': () => detailed('t1', 'working', { pollIntervalMs: 60_000 }),
      'subscriptions/listen': ({ notifications }, exchange) => {
        acknowledge(exchange, notifications.taskIds as string[]);
        return NEVER;
      },
    });
    const result = client.startTask('work').result();
    const first = await server.nth('subscriptions/listen');
    await server.nth('tasks/get');
    first.cut();
    // At once, because something may have been missed.
    await server.nth('tasks/get', 2);
    const second = await server.nth('subscriptions/listen', 2);
    tell(second, detailed('t1', 'completed', { result: said('done') }, 1));
    expect((await result).text).toBe('done');
  });

  test('a poll is made again', async () => {
    let polls = 0;
    const { client } = await connect({
      'tools/call': () => created('t1'),
      'tasks/get': (_, exchange) => {
        if (++polls > 2) return detailed('t1', 'completed', { result: said('done') });
        exchange.cut();
        return NEVER;
      },
    });
    expect((await client.callTool('work')).text).toBe('done');
  });

  test('a poll that a proxy refuses for now is made again', async () => {
    let polls = 0;
    const { client } = await connect(
      {
        'tools/call': () => created('t1'),
        'tasks/get': () => detailed('t1', 'completed', { result: said('done') }),
      },
      {
        raw: ({ method }, response) => {
          if (method !== 'tasks/get' || ++polls > 2) return false;
          response.writeHead(polls === 1 ? 503 : 429).end('later');
          return true;
        },
      },
    );
    expect((await client.callTool('work')).text).toBe('done');
  });

  test('an answer to a question of a task is sent again', async () => {
    let updates = 0;
    let isAnswered = false;
    const { client } = await connect(
      {
        'tools/call': () => created('t1'),
        'tasks/get': () =>
          isAnswered
            ? detailed('t1', 'completed', { result: said('thanks') }, 2)
            : detailed(
                't1',
                'input_required',
                { inputRequests: { q: { method: 'elicitation/create', params: { message: '?' } } } },
                1,
              ),
        'tasks/update': (_, exchange) => {
          if (++updates === 1) {
            exchange.cut();
            return NEVER;
          }
          isAnswered = true;
          return { resultType: 'complete' };
        },
      },
      { onElicit: () => ({ action: 'decline' }) },
    );
    expect((await client.callTool('ask')).text).toBe('thanks');
    expect(updates).toBe(2);
  });

  test('a call is not made again, for it may have run', async () => {
    const { client, server } = await connect({
      'tools/call': ({ _meta }, { notify, cut }) => {
        notify('notifications/progress', { progressToken: _meta.progressToken, progress: 1 });
        setImmediate(cut);
        return NEVER;
      },
    });
    await expect(client.startTask('work')).rejects.toThrow();
    expect(server.all('tools/call')).toHaveLength(1);
  });

  test('a call whose stream ends without an answer rejects, and says so', async () => {
    const { client } = await connect(
      {},
      {
        raw: ({ method }, response) => {
          if (method !== 'tools/call') return false;
          response
            .writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8' })
            .end(': nothing\n\n');
          return true;
        },
      },
    );
    await expect(client.callTool('work')).rejects.toThrow('tools/call: the stream ended before the answer');
  });
});

describe('an answer that is none', () => {
  const answers: Record<string, [status: number, type: string, body: string]> = {
    'nothing at all': [200, 'application/json', ''],
    'no JSON': [200, 'application/json', '<p>hello</p>'],
    'JSON, but no message': [200, 'application/json', '[1]'],
    'a message, but no response': [200, 'application/json', '{"jsonrpc":"2.0","method":"x"}'],
    'a stream of no JSON': [200, 'text/event-stream', 'data: hello\n\n'],
    'a stream of null': [200, 'text/event-stream', 'data: null\n\n'],
  };

  test.each(Object.keys(answers))('%s rejects, and says what came', async (what) => {
    const { client } = await connect(
      {},
      {
        raw: ({ method }, response) => {
          const [status, type, body] = answers[what]!;
          if (method === 'tools/call') response.writeHead(status, { 'content-type': type }).end(body);
          return method === 'tools/call';
        },
      },
    );
    const call = client.callTool('work');
    await expect(call).rejects.toThrow(InvalidAnswerError);
    await expect(call).rejects.toThrow(/^tools\/call: (the server answered|no JSON-RPC message)/);
  });

  test('an HTTP status rejects with it, and with what came', async () => {
    const { client } = await connect(
      {},
      {
        raw: ({ method }, response) => {
          if (method === 'tools/call') response.writeHead(413, 'Too Large').end('over 4 MiB');
          return method === 'tools/call';
        },
      },
    );
    const error = { name: 'HttpStatusError', code: 413, message: 'HTTP 413 Too Large over 4 MiB' };
    await expect(client.callTool('work')).rejects.toMatchObject(error);
  });

  test('an HTTP status that says "no" ends the following of a task', async () => {
    const { client } = await connect(
      { 'tools/call': () => created('t1') },
      {
        raw: ({ method }, response) => {
          if (method === 'tasks/get') response.writeHead(401).end();
          return method === 'tasks/get';
        },
      },
    );
    await expect(client.callTool('work')).rejects.toMatchObject({ name: 'HttpStatusError', code: 401 });
  });

  test('an error that names no request is the answer to the one that was made', async () => {
    const { client } = await connect(
      {},
      {
        raw: ({ method }, response) => {
          const error = { code: -32600, message: 'too deep' };
          if (method === 'tools/call')
            response.writeHead(400).end(JSON.stringify({ jsonrpc: '2.0', id: null, error }));
          return method === 'tools/call';
        },
      },
    );
    await expect(client.callTool('work')).rejects.toMatchObject({ name: 'TaskError', code: -32600 });
  });
});

describe('arguments that go into headers', () => {
  const inputSchema = {
    type: 'object',
    properties: {
      region: { type: 'string', 'x-mcp-header': 'Region' },
      deep: { type: 'object', properties: { n: { type: 'integer', 'x-mcp-header': 'N' } } },
      dry: { type: 'boolean', 'x-mcp-header': 'Dry' },
      query: { type: 'string' },
    },
  };

  test('are the values at the paths that the schema names', async () => {
    const { client, server } = await connect({
      'tools/list': () => ({ resultType: 'complete', tools: [{ name: 'sql', inputSchema }] }),
      'tools/call': () => said('done'),
    });
    await client.callTool('sql', { region: ' Köln', deep: { n: -42 }, dry: false, query: 'x' });
    await client.callTool('sql', { region: null, deep: 'none' });
    const [first, second] = server.all('tools/call').map(({ headers }) => headers);
    expect(first).toMatchObject({
      'mcp-param-region': `=?base64?${Buffer.from(' Köln').toString('base64')}?=`,
      'mcp-param-n': '-42',
      'mcp-param-dry': 'false',
    });
    expect(Object.keys(second!).filter((name) => name.startsWith('mcp-param-'))).toEqual([]);
    expect(server.all('tools/list')).toHaveLength(1);
  });

  test('are looked up anew when the server wants others', async () => {
    let isOld = true;
    const { client, server } = await connect({
      'tools/list': () => ({
        resultType: 'complete',
        tools: [isOld ? tool('sql') : { name: 'sql', inputSchema }],
        ttlMs: 60_000,
      }),
      'tools/call': (_, { headers }) => {
        if (headers['mcp-param-region'] !== 'eu') throw new Refusal(-32020, 'Header mismatch');
        return said('done');
      },
    });
    await client.listTools();
    isOld = false;
    expect((await client.callTool('sql', { region: 'eu' })).text).toBe('done');
    // Once, and no more: it does not help here.
    await expect(client.callTool('sql', { region: 'us' })).rejects.toThrow('Header mismatch');
    expect(server.all('tools/call')).toHaveLength(4);
  });

  const faults: Record<string, Json> = {
    'no name of a header': { a: { type: 'string', 'x-mcp-header': 'Two words' } },
    'on no string': { a: { type: 'number', 'x-mcp-header': 'A' } },
    'that of another property': {
      a: { type: 'string', 'x-mcp-header': 'A' },
      b: { type: 'string', 'x-mcp-header': 'a' },
    },
    'no chain of properties': { a: { type: 'array', items: { type: 'string', 'x-mcp-header': 'A' } } },
  };

  test.each(Object.keys(faults))('leave out a tool whose schema has one with %s', async (fault) => {
    const errors: string[] = [];
    const broken = { name: 'broken', inputSchema: { type: 'object', properties: faults[fault] } };
    const { client } = await connect(
      { 'tools/list': () => ({ resultType: 'complete', tools: [broken, tool('sound')] }) },
      { onError: ({ message }) => errors.push(message) },
    );
    expect((await client.listTools()).map(({ name }) => name)).toEqual(['sound']);
    expect(errors).toEqual([expect.stringMatching(new RegExp(`^The tool broken is left out: .*${fault}`))]);
  });

  test('are no fault where a property only has that name', async () => {
    const properties = { 'x-mcp-header': { type: 'string', 'x-mcp-header': 'Name' } };
    const { client } = await connect({
      'tools/list': () => ({
        resultType: 'complete',
        tools: [{ name: 'odd', inputSchema: { type: 'object', properties } }],
      }),
    });
    expect((await client.listTools()).map(({ name }) => name)).toEqual(['odd']);
  });
});

test('a redirect to another origin is not followed: it would be given the headers', async () => {
  const heard: unknown[] = [];
  const other = createServer((request, response) => {
    heard.push(request.headers);
    response.end();
  });
  other.listen(0, '127.0.0.1');
  await once(other, 'listening');
  onTestFinished(() => void other.close());
  const { port } = other.address() as AddressInfo;
  const connecting = connect(
    {},
    {
      raw: (_, response) => {
        response.writeHead(307, { location: `http://127.0.0.1:${port}/mcp` }).end();
        return true;
      },
    },
  );
  await expect(connecting).rejects.toThrow(/HTTP 307/);
  expect(heard).toEqual([]);
});

test('a server that is not there is an error', async () => {
  const http = createServer();
  http.listen(0, '127.0.0.1');
  await once(http, 'listening');
  const { port } = http.address() as AddressInfo;
  http.close();
  await once(http, 'close');
  const url = `http://127.0.0.1:${port}/mcp`;
  await expect(TaskClient.connect({ url }, { protocol: '2026-07-28' })).rejects.toThrow('fetch failed');
});
