import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { createServer, type TaskServer } from 'mcp-taskpool';
import { folderWith, toolSource } from '../folder.ts';
import { newGate } from './fixtures.ts';
import { modernPeer, send, ALL, SUBSCRIPTION_ID, TASKS, type ModernPeer } from './modern-peer.ts';
import type { Json } from './peer.ts';

const TOOLS = new URL('../../dist/test/fixtures/tools/', import.meta.url);
const NO_TASKS = { elicitation: { form: {} }, sampling: {} };

let server: TaskServer;
beforeAll(async () => {
  server = await createServer({ tools: TOOLS, threads: 2 });
});
afterAll(() => server.close({ drainMs: 0 }));

/** Asks for the task until it is what is waited for: this revision lets a client poll. */
async function reached(peer: ModernPeer, taskId: string, status: string): Promise<Json> {
  for (;;) {
    const { result } = await peer.request('tasks/get', { taskId });
    if (result!['status'] === status) return result!;
    await new Promise(setImmediate);
  }
}

async function started(peer: ModernPeer, name: string, args: Json = {}): Promise<string> {
  const { result } = await peer.request('tools/call', { name, arguments: args });
  expect(result).toMatchObject({ resultType: 'task' });
  return result!['taskId'] as string;
}

describe.each(['HTTP', 'a channel'] as const)('2026-07-28 over %s', (kind) => {
  const connect = () => modernPeer(kind, server);

  it('declares the tasks extension, and lists the tools without what only 2025-11-25 has', async () => {
    const peer = await connect();
    const { result } = await peer.request('server/discover');
    expect(result).toMatchObject({
      supportedVersions: ['2026-07-28'],
      capabilities: { tools: {}, extensions: { [TASKS]: {} } },
    });
    const { result: list } = await peer.request('tools/list');
    const add = (list!['tools'] as Json[]).find(({ name }) => name === 'add');
    expect(add).toMatchObject({ inputSchema: { type: 'object' }, outputSchema: { type: 'object' } });
    expect(add).not.toHaveProperty('execution');
  });

  it('makes a call a task where the client knows tasks, and gives its result with it', async () => {
    const peer = await connect();
    const { result: created } = await peer.request('tools/call', { name: 'add', arguments: { a: 2, b: 3 } });
    expect(created).toMatchObject({
      resultType: 'task',
      taskId: expect.any(String),
      status: 'working',
      ttlMs: 3_600_000,
      pollIntervalMs: 1000,
      createdAt: expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/),
      lastUpdatedAt: expect.stringMatching(/Z$/),
    });
    expect(created).not.toHaveProperty('task');
    const done = await reached(peer, created!['taskId'] as string, 'completed');
    expect(done).toMatchObject({
      resultType: 'complete',
      result: { resultType: 'complete', structuredContent: { sum: 5 } },
    });
  });

  it('runs a call to its result where the client knows no tasks, or the tool allows none', async () => {
    const peer = await connect();
    const call = { name: 'add', arguments: { a: 2, b: 3 } };
    const { result } = await peer.request('tools/call', call, { capabilities: NO_TASKS });
    expect(result).toMatchObject({ resultType: 'complete', structuredContent: { sum: 5 } });
    const { result: forbidden } = await peer.request('tools/call', { name: 'never_as_task', arguments: {} });
    expect(forbidden).toMatchObject({ resultType: 'complete' });
  });

  it('refuses what needs tasks to a client that knows none, and says what it would have to declare', async () => {
    const peer = await connect();
    const missing = {
      code: -32021,
      data: { requiredCapabilities: { extensions: { [TASKS]: {} } } },
    };
    const without = { capabilities: NO_TASKS };
    const { error } = await peer.request('tools/call', { name: 'only_as_task', arguments: {} }, without);
    expect(error).toMatchObject(missing);
    const taskId = await started(peer, 'add', { a: 1 });
    for (const method of ['tasks/get', 'tasks/update', 'tasks/cancel']) {
      const { error } = await peer.request(method, { taskId, inputResponses: {} }, without);
      expect(error).toMatchObject(missing);
    }
  });

  it('tells the error of a result from an error of the protocol', async () => {
    const peer = await connect();
    const threw = await reached(peer, await started(peer, 'throw_error'), 'completed');
    expect(threw).toMatchObject({ result: { isError: true } });
    expect(threw).not.toHaveProperty('error');
    const late = await reached(peer, await started(peer, 'time_out'), 'failed');
    expect(late).toMatchObject({ error: { code: -32001, message: expect.stringContaining('timed out') } });
    expect(late['statusMessage']).toContain('timed out');
    expect(late).not.toHaveProperty('result');
  });

  it('cancels a task that spins, and acknowledges the cancelling of one that has ended', async () => {
    const peer = await connect();
    const gate = await newGate();
    const taskId = await started(peer, 'spin', { started: gate.path });
    await gate.opened();
    await expect(peer.request('tasks/cancel', { taskId })).resolves.toHaveProperty(
      'result.resultType',
      'complete',
    );
    const cancelled = await reached(peer, taskId, 'cancelled');
    expect(cancelled).not.toHaveProperty('result');
    expect(cancelled).not.toHaveProperty('error');
    await expect(peer.request('tasks/cancel', { taskId })).resolves.toHaveProperty('result');
    await expect(peer.request('tasks/get', { taskId })).resolves.toHaveProperty('result.status', 'cancelled');
  });

  it('answers what it does not know, does not have, or cannot read as what it is', async () => {
    const peer = await connect();
    const code = async (method: string, params: Json) => (await peer.request(method, params)).error?.['code'];
    await expect(code('tools/call', { name: 'nothing', arguments: {} })).resolves.toBe(-32602);
    for (const method of ['tasks/get', 'tasks/cancel', 'tasks/update']) {
      await expect(code(method, { taskId: 'nothing', inputResponses: {} })).resolves.toBe(-32602);
      await expect(code(method, { inputResponses: {} })).resolves.toBe(-32602);
    }
    for (const method of ['tasks/result', 'tasks/list', 'resources/list', 'initialize']) {
      await expect(code(method, { taskId: 'nothing' })).resolves.toBe(-32601);
    }
    const taskId = await started(peer, 'add', { a: 1 });
    await expect(code('tasks/update', { taskId })).resolves.toBe(-32602);
    const { result } = await peer.request('tools/call', { name: 'add', arguments: { a: 'one' } });
    expect(result).toMatchObject({
      isError: true,
      content: [{ text: expect.stringContaining('a must be number') }],
    });
  });

  it('reports progress and log messages of a plain call on its stream, to a client that wants them', async () => {
    const peer = await connect();
    const call = { name: 'report_once', arguments: {} };
    const quiet = await peer.request('tools/call', call, { capabilities: NO_TASKS });
    expect(quiet.notifications).toEqual([]);
    const meta = { progressToken: `p-${kind}`, 'io.modelcontextprotocol/logLevel': 'debug' };
    const heard = await peer.request('tools/call', call, { capabilities: NO_TASKS, meta });
    expect(heard.notifications).toContainEqual(
      expect.objectContaining({
        method: 'notifications/progress',
        params: expect.objectContaining({ progressToken: `p-${kind}` }),
      }),
    );
    const logs = await peer.request(
      'tools/call',
      { name: 'write_logs', arguments: {} },
      { capabilities: NO_TASKS, meta: { 'io.modelcontextprotocol/logLevel': 'warning' } },
    );
    const levels = logs.notifications.map(({ params }) => (params as Json)['level'] as string);
    expect(levels.length).toBeGreaterThan(0);
    expect(levels).not.toContain('debug');
    expect(levels).not.toContain('info');
  });

  it('stops a plain call whose request is given up', async () => {
    const peer = await connect();
    const gate = await newGate();
    const stop = new AbortController();
    const call = peer.request(
      'tools/call',
      { name: 'spin', arguments: { started: gate.path } },
      { capabilities: NO_TASKS, signal: stop.signal },
    );
    call.catch(() => {});
    await gate.opened();
    expect(server.load.running).toBe(1);
    stop.abort(new Error('given up'));
    while (server.load.running > 0) await new Promise(setImmediate);
    expect(server.load).toEqual({ queued: 0, running: 0 });
  });

  it('takes a repeated call with the same key for the same task', async () => {
    const peer = await connect();
    const call = { name: 'add', arguments: { a: 4 } };
    const options = { meta: { 'mcp-taskpool/idempotencyKey': `key-${kind}` } };
    const { result: one } = await peer.request('tools/call', call, options);
    const { result: two } = await peer.request('tools/call', call, options);
    expect(two!['taskId']).toBe(one!['taskId']);
  });

  describe('subscriptions/listen', () => {
    it('acknowledges the tasks that the caller has, and tells every change of them in full', async () => {
      const peer = await connect();
      const gate = await newGate();
      const taskId = await started(peer, 'wait_for_file', { path: gate.path });
      const stream = await peer.listen({ taskIds: [taskId, 'nothing'], toolsListChanged: true });
      const acknowledged = (await stream.next())!;
      expect(acknowledged).toMatchObject({
        method: 'notifications/subscriptions/acknowledged',
        params: { notifications: { taskIds: [taskId] }, _meta: { [SUBSCRIPTION_ID]: expect.anything() } },
      });
      const id = acknowledged['params']._meta[SUBSCRIPTION_ID] as number;
      gate.open();
      const told: Json[] = [];
      while (told.at(-1)?.['params'].status !== 'completed') told.push((await stream.next())!);
      for (const { method, params } of told) {
        expect(method).toBe('notifications/tasks');
        expect(params).toMatchObject({ taskId, _meta: { [SUBSCRIPTION_ID]: id } });
      }
      expect(told.at(-1)).toHaveProperty('params.result.content');
      stream.stop();
    });

    it('tells of a task that has ended before, as it is', async () => {
      const peer = await connect();
      const taskId = await started(peer, 'add', { a: 1 });
      await reached(peer, taskId, 'completed');
      const stream = await peer.listen({ taskIds: [taskId] });
      await stream.next();
      await expect(stream.next()).resolves.toMatchObject({ params: { taskId, status: 'completed' } });
      stream.stop();
    });

    it('refuses a client that has not declared the extension', async () => {
      const peer = await connect();
      const stream = await peer.listen({ taskIds: ['any'] }, { capabilities: NO_TASKS });
      await expect(stream.next()).resolves.toMatchObject({
        error: { code: -32021, data: { requiredCapabilities: { extensions: { [TASKS]: {} } } } },
      });
    });

    it('is open to a client without tasks that asks for none', async () => {
      const peer = await connect();
      const stream = await peer.listen({ toolsListChanged: true }, { capabilities: NO_TASKS });
      await expect(stream.next()).resolves.toMatchObject({
        method: 'notifications/subscriptions/acknowledged',
      });
      stream.stop();
    });

    it('says that it is over when the server closes', async () => {
      const own = await createServer({ tools: TOOLS, threads: 1 });
      onTestFinished(() => own.close({ drainMs: 0 }));
      const peer = await modernPeer(kind, own);
      const taskId = await started(peer, 'add', { a: 1 });
      await reached(peer, taskId, 'completed');
      const stream = await peer.listen({ taskIds: [taskId] });
      await stream.next();
      await stream.next();
      await own.close({ drainMs: 0 });
      await expect(stream.next()).resolves.toMatchObject({
        result: { resultType: 'complete', _meta: { [SUBSCRIPTION_ID]: expect.anything() } },
      });
    });
  });
});

describe('2026-07-28 over HTTP', () => {
  const message = (method: string, params: Json): Json => ({
    jsonrpc: '2.0',
    id: 7,
    method,
    params: {
      ...params,
      _meta: {
        'io.modelcontextprotocol/protocolVersion': '2026-07-28',
        'io.modelcontextprotocol/clientInfo': { name: 'peer', version: '1' },
        'io.modelcontextprotocol/clientCapabilities': ALL,
      },
    },
  });

  it.each([
    ['names another task', { 'mcp-name': 'another' }],
    ['names another method', { 'mcp-method': 'tasks/cancel' }],
    ['names another revision', { 'mcp-protocol-version': '2025-11-25' }],
  ])('refuses a request whose header %s', async (_, headers) => {
    const response = await send(server, message('tasks/get', { taskId: 'a task' }), { headers });
    expect(response.status).toBe(400);
    await expect(response.json()).resolves.toMatchObject({ id: 7, error: { code: -32020 } });
  });

  it('reads a header in base64, as a name that is no plain ASCII needs', async () => {
    const name = `=?base64?${Buffer.from('Aufgabe ß').toString('base64')}?=`;
    const response = await send(server, message('tasks/get', { taskId: 'Aufgabe ß' }), {
      headers: { 'mcp-name': name },
    });
    await expect(response.json()).resolves.toMatchObject({ error: { code: -32602 } });
  });

  it('answers 400 where a capability is missing, and 404 where the method is unknown', async () => {
    const none = message('tasks/get', { taskId: 'x' });
    none['params']._meta['io.modelcontextprotocol/clientCapabilities'] = {};
    expect((await send(server, none)).status).toBe(400);
    const listen = message('subscriptions/listen', { notifications: { taskIds: ['x'] } });
    listen['params']._meta['io.modelcontextprotocol/clientCapabilities'] = {};
    expect((await send(server, listen)).status).toBe(400);
    expect((await send(server, message('tasks/list', {}))).status).toBe(404);
  });

  it.each([
    ['is missing', {}, 400],
    ['says something else', { 'mcp-param-region': 'there' }, 400],
    ['is not what it says it is', { 'mcp-param-region': '=?base64?aGV!yZQ==?=' }, 400],
    ['repeats it', { 'mcp-param-region': 'here' }, 200],
    ['repeats it in base64', { 'mcp-param-region': `=?base64?${btoa('here')}?=` }, 200],
  ])('compares an argument with its header, which %s', async (_, headers, status) => {
    const folder = await folderWith({
      'locate.js': toolSource(
        "input: z.object({ region: z.string().meta({ 'x-mcp-header': 'Region' }) }), run: ({ region }) => region",
      ),
    });
    const server = await createServer({ tools: folder, threads: 1 });
    onTestFinished(() => server.close({ drainMs: 0 }));
    const call = message('tools/call', { name: 'locate', arguments: { region: 'here' } });
    const response = await send(server, call, { headers });
    expect(response.status).toBe(status);
    await expect(response.text()).resolves.toContain(status === 400 ? '-32020' : '"taskId"');
  });

  it('keeps tasks of one token from another, to the byte', async () => {
    const token = (clientId: string) => ({ authInfo: { token: clientId, clientId, scopes: [] } });
    const call = message('tools/call', { name: 'add', arguments: { a: 1 } });
    const created = (await (await send(server, call, token('ann'))).json()) as Json;
    const { taskId } = created['result'] as { taskId: string };
    const own = await send(server, message('tasks/get', { taskId }), token('ann'));
    await expect(own.json()).resolves.toHaveProperty('result.taskId', taskId);
    const unknownId = taskId.replaceAll(/[0-9a-f]/g, '0');
    for (const method of ['tasks/get', 'tasks/cancel', 'tasks/update']) {
      const ask = async (taskId: string) =>
        (await send(server, message(method, { taskId, inputResponses: {} }), token('bob'))).text();
      await expect(ask(taskId)).resolves.toBe(await ask(unknownId));
    }
  });
});
