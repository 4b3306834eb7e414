import { InMemoryTransport } from '@modelcontextprotocol/sdk/inMemory.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { ConnectionClosedError, RequestTimeoutError, TaskClient, TaskError } from 'mcp-taskpool/client';
import { describe, expect, onTestFinished, test } from 'vitest';
import { connectModern, inMemory, overHttp } from './modern-channels.ts';
import { ModernServer, Refusal, discovered, said } from './modern-server.ts';
import { NEVER, ScriptedServer, WireError, type Json } from './scripted-server.ts';

const initialized = {
  protocolVersion: '2025-11-25',
  serverInfo: { name: 'both', version: '1' },
  capabilities: { tools: {} },
};

async function refusing(error: Refusal): Promise<{ client: TaskClient; server: ModernServer }> {
  return connectModern(
    {
      initialize() {
        throw error;
      },
    },
    { protocol: 'auto' },
  );
}

describe('auto', () => {
  test('speaks 2025-11-25 with a server that answers initialize, and asks nothing else first', async () => {
    const { client, server } = await ScriptedServer.connect();
    expect(client.protocol).toBe('2025-11-25');
    expect(client.sdk.getServerVersion()).toMatchObject({ name: 'scripted' });
    expect(server.heard.map(({ method }) => method as string)).toEqual([
      'initialize',
      'notifications/initialized',
    ]);
  });

  test('speaks 2025-11-25 with a server of both', async () => {
    const { client } = await connectModern({ initialize: () => initialized }, { protocol: 'auto' });
    expect(client.protocol).toBe('2025-11-25');
  });

  test.each([
    ['names its versions', new Refusal(-32022, 'Unsupported', { supported: ['2026-07-28'] })],
    ['does not know it', new Refusal(-32601, 'Method not found')],
    ['misses the metadata', new Refusal(-32602, 'Missing _meta')],
    ['takes it for no request', new Refusal(-32600, 'Invalid request')],
  ])('speaks 2026-07-28 with a server that refuses initialize because it %s', async (_, error) => {
    const { client, server } = await refusing(error);
    expect(client.protocol).toBe('2026-07-28');
    server.answers['tools/call'] = () => said('hello');
    expect((await client.callTool('any')).text).toBe('hello');
  });

  test('speaks 2026-07-28 over HTTP with a server that answers initialize with 400', async () => {
    const server = new ModernServer({ 'tools/call': () => said('hello') });
    const client = await TaskClient.connect({ url: await overHttp(server) });
    onTestFinished(() => client.close());
    expect(client.protocol).toBe('2026-07-28');
    expect((await client.callTool('any')).text).toBe('hello');
  });

  test('passes on the refusal of a server that speaks neither, with the code it has', async () => {
    const connecting = ScriptedServer.connect({
      answers: {
        initialize() {
          throw new WireError(-32601, 'no MCP here');
        },
      },
    });
    await expect(connecting).rejects.toMatchObject({
      name: 'TaskError',
      code: -32601,
      message: 'no MCP here',
    });
  });

  test('passes on a refusal that has nothing to do with the revision, and asks nothing more', async () => {
    const server = new ModernServer({
      initialize() {
        throw new Refusal(-32603, 'the database is down');
      },
    });
    const connecting = TaskClient.connect(await inMemory(server));
    await expect(connecting).rejects.toThrow('the database is down');
    expect(server.heard.map(({ method }) => method)).toEqual(['initialize']);
  });

  test('passes on that a server speaks other revisions only', async () => {
    const error = new Refusal(-32022, 'Unsupported', { supported: ['2099-01-01'] });
    await expect(refusing(error)).rejects.toMatchObject({
      code: -32022,
      data: { supported: ['2099-01-01'] },
    });
  });

  test('takes no HTTP answer without a JSON-RPC error for a refusal', async () => {
    const url = await overHttp(new ModernServer(), 'json', (_, response) => {
      response.writeHead(400).end('<p>Bad gateway</p>');
      return true;
    });
    await expect(TaskClient.connect({ url })).rejects.toThrow(/Bad gateway/);
  });

  test('leaves the time of the whole to both attempts', async () => {
    const server = new ModernServer({ 'server/discover': () => NEVER });
    const connecting = TaskClient.connect(await inMemory(server), { connectTimeoutMs: 200 });
    await expect(connecting).rejects.toThrow(RequestTimeoutError);
  });

  test('gives up between the attempts when its signal aborts', async () => {
    const server = new ModernServer({ 'server/discover': () => NEVER });
    const stop = new AbortController();
    const connecting = TaskClient.connect(await inMemory(server), { signal: stop.signal });
    await server.nth('server/discover');
    stop.abort(new Error('enough'));
    await expect(connecting).rejects.toThrow('enough');
  });

  test('closes the transport of a server that speaks neither', async () => {
    const server = new ModernServer({
      'server/discover'() {
        throw new Refusal(-32603, 'broken');
      },
    });
    const transport = await inMemory(server);
    let isClosed = false;
    transport.onclose = () => (isClosed = true);
    // It named the revision, so what it says to it is the reason.
    await expect(TaskClient.connect(transport)).rejects.toThrow(/server\/discover: broken/);
    expect(isClosed).toBe(true);
  });
});

describe('a revision that is asked for', () => {
  test('2026-07-28 is spoken without initialize', async () => {
    const { client, server } = await connectModern({ initialize: () => initialized });
    expect(client.protocol).toBe('2026-07-28');
    expect(server.heard.map(({ method }) => method)).toEqual(['server/discover']);
  });

  test('2026-07-28 is refused by a server that does not list it', async () => {
    const connecting = connectModern({
      'server/discover': () => discovered({ supportedVersions: ['2099-01-01'] }),
    });
    await expect(connecting).rejects.toThrow('The server does not speak 2026-07-28, but 2099-01-01');
  });

  test('2026-07-28 fails with a server of 2025-11-25, in words that say why', async () => {
    const connecting = ScriptedServer.connect({}, { protocol: '2026-07-28' });
    await expect(connecting).rejects.toThrow(TaskError);
    await expect(connecting).rejects.toThrow(/does not seem to speak 2026-07-28.*Method not found/);
  });

  test('2025-11-25 fails with a server of 2026-07-28, and nothing else is tried', async () => {
    const server = new ModernServer();
    const connecting = TaskClient.connect(await inMemory(server), { protocol: '2025-11-25' });
    await expect(connecting).rejects.toMatchObject({ code: -32022 });
    expect(server.heard.map(({ method }) => method)).toEqual(['initialize']);
  });

  test('is refused where there is no such', async () => {
    const [near] = InMemoryTransport.createLinkedPair();
    const options = { protocol: '2024-11-05' as '2025-11-25' };
    await expect(TaskClient.connect(near, options)).rejects.toThrow(/expected 'auto'.*got "2024-11-05"/);
  });

  test("2026-07-28 does not go over the older SDK's HTTP transport, which sends no such headers", async () => {
    const transport = new StreamableHTTPClientTransport(new URL('http://127.0.0.1:1/mcp'));
    const connecting = TaskClient.connect(transport, { protocol: '2026-07-28' });
    await expect(connecting).rejects.toThrow(/\{ url \}/);
  });

  test('rejects when the server closes instead of answering', async () => {
    const [near, far] = InMemoryTransport.createLinkedPair();
    far.onmessage = () => void far.close();
    await far.start();
    await expect(TaskClient.connect(near, { protocol: '2026-07-28' })).rejects.toThrow(ConnectionClosedError);
  });

  test.each([
    ['is no object', () => 'yes'],
    ['names no versions', () => discovered({ supportedVersions: undefined })],
    ['is of an unknown type', () => discovered({ resultType: 'strange' })],
  ])('2026-07-28 is not spoken with a server whose answer %s', async (_, answer) => {
    await expect(connectModern({ 'server/discover': answer })).rejects.toThrow(/server\/discover/);
  });
});

describe('on 2026-07-28', () => {
  test("the SDK's client is not there, and says what to do", async () => {
    const { client } = await connectModern();
    expect(() => client.sdk).toThrow(/protocol: '2025-11-25'/);
  });

  test('every request says who asks, and what the client can answer', async () => {
    const { client, server } = await connectModern(
      {},
      {
        name: 'me',
        version: '7',
        onElicit: () => ({ action: 'decline' }),
        capabilities: { roots: {}, sampling: {}, experimental: { x: {} } },
      },
    );
    await client.ping();
    const meta = server.heard.at(-1)!.params['_meta'] as Json;
    expect(meta).toEqual({
      'io.modelcontextprotocol/protocolVersion': '2026-07-28',
      'io.modelcontextprotocol/clientInfo': { name: 'me', version: '7' },
      'io.modelcontextprotocol/clientCapabilities': {
        // Neither roots nor sampling: nobody would answer.
        elicitation: { form: {}, url: {} },
        experimental: { x: {} },
        extensions: { 'io.modelcontextprotocol/tasks': {} },
      },
    });
  });

  test('there is no list of tasks', async () => {
    const { client } = await connectModern();
    const listing = client.listTasks();
    await expect(listing).rejects.toThrow(TaskError);
    await expect(listing).rejects.toThrow(/client\.task\(taskId\)/);
  });
});
