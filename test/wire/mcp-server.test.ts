import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { emptyFolder, newGate, serveFixtures, startRunning } from './fixtures.ts';
import { callParams, Peer, stateOf, type Json } from './peer.ts';

const server = await serveFixtures();

interface Mixed {
  mcpServer: McpServer;
  /** The tools of its own that have run. */
  ran: string[];
}

/** An McpServer with tools, a prompt and a resource of its own, some of them from before `addTo` and some from after. */
async function mixed(): Promise<Mixed> {
  const mcpServer = new McpServer({ name: 'host', version: '1' });
  const ran: string[] = [];
  const register = (name: string) =>
    mcpServer.registerTool(name, { inputSchema: { text: z.string() } }, ({ text }) => {
      ran.push(name);
      return { content: [{ type: 'text', text: `${name}: ${text}` }] };
    });
  register('before');
  register('echo');
  mcpServer.registerPrompt('greeting', {}, () => ({
    messages: [{ role: 'user', content: { type: 'text', text: 'Hello' } }],
  }));
  await server.addTo(mcpServer);
  register('after');
  mcpServer.registerResource('notes', 'notes://all', {}, () => ({
    contents: [{ uri: 'notes://all', text: 'a note' }],
  }));
  return { mcpServer, ran };
}

async function connect(given?: Mixed): Promise<Peer & Mixed> {
  const host = given ?? (await mixed());
  return Object.assign(await Peer.connect(host.mcpServer), host);
}

describe('An McpServer that was given the tools of the folder', () => {
  it('lists them beside its own, from before and from after', async () => {
    const peer = await connect();
    const { tools } = await peer.request('tools/list');
    const names = (tools as Json[]).map(({ name }) => name as string);
    expect(names).toEqual(expect.arrayContaining(['before', 'after', 'add', 'spin']));
    expect(names).not.toContain('mcp-taskpool-placeholder');
    expect((tools as Json[]).find(({ name }) => name === 'add')).toHaveProperty('execution', {
      taskSupport: 'optional',
    });
  });

  it('lists a name once, where both sides have it', async () => {
    const peer = await connect();
    const { tools } = await peer.request('tools/list');
    expect((tools as Json[]).filter(({ name }) => name === 'echo')).toHaveLength(1);
  });

  it.each(['before', 'after'])('runs its own tool that was registered %s', async (name) => {
    const peer = await connect();
    await expect(peer.call(name, { text: 'hi' })).resolves.toMatchObject({
      content: [{ type: 'text', text: `${name}: hi` }],
    });
    expect(peer.ran).toEqual([name]);
  });

  it('runs the tools of the folder, plainly and as tasks', async () => {
    const peer = await connect();
    await expect(peer.call('add', { a: 1 })).resolves.toHaveProperty('structuredContent', { sum: 2 });
    const { taskId } = await peer.start('add', { a: 2 });
    await expect(peer.result(taskId)).resolves.toHaveProperty('structuredContent', { sum: 3 });
    await peer.reached(taskId, 'completed');
    expect((await peer.list()).map(stateOf)).toContain('completed');
  });

  it('runs the tool of the folder, where both sides have the name', async () => {
    const peer = await connect();
    await expect(peer.call('echo', { text: 'hi' })).resolves.toMatchObject({ content: [{ text: 'hi' }] });
    expect(peer.ran).toEqual([]);
  });

  it('cancels a task of the folder', async () => {
    const peer = await connect();
    const { taskId } = await startRunning(peer, 'spin_until_aborted');
    await expect(peer.cancel(taskId)).resolves.toHaveProperty('status', 'cancelled');
  });

  it('keeps its own prompts and resources', async () => {
    const peer = await connect();
    await expect(peer.request('prompts/get', { name: 'greeting' })).resolves.toMatchObject({
      messages: [{ content: { text: 'Hello' } }],
    });
    await expect(peer.request('resources/read', { uri: 'notes://all' })).resolves.toMatchObject({
      contents: [{ text: 'a note' }],
    });
  });

  it('processes requests of types without task support normally (tasks, "Task Support and Handling" 1)', async () => {
    const peer = await connect();
    await expect(peer.request('prompts/get', { name: 'greeting', task: {} })).resolves.toHaveProperty(
      'messages',
    );
    await expect(peer.request('resources/read', { uri: 'notes://all', task: {} })).resolves.toHaveProperty(
      'contents',
    );
  });

  it('declares the capabilities of both', async () => {
    const silent = await Peer.connect((await mixed()).mcpServer, { silent: true });
    const { capabilities, serverInfo } = await silent.initialize();
    expect(serverInfo['name']).toBe('host');
    expect(capabilities).toMatchObject({
      tools: { listChanged: true },
      prompts: {},
      resources: {},
      logging: {},
      tasks: { list: {}, cancel: {}, requests: { tools: { call: {} } } },
    });
  });

  it('answers logging/setLevel, which it has declared', async () => {
    const peer = await connect();
    await expect(peer.request('logging/setLevel', { level: 'error' })).resolves.toEqual({});
    await peer.call('write_logs');
    expect(peer.notifications('notifications/message')).toMatchObject([{ level: 'error' }]);
  });

  it('answers -32602 to a call of a tool that neither side has', async () => {
    const peer = await connect();
    await expect(peer.call('no_such_tool')).rejects.toMatchObject({ code: -32602 });
  });

  it('answers -32601 to a call of its own tool as a task, and does not run it (tasks, "Tool-Level Negotiation" 2.1)', async () => {
    const peer = await connect();
    const answer = await peer.start('before', { text: 'hi' }).catch((error: unknown) => error);
    expect(answer).toMatchObject({ code: -32601 });
    expect(peer.ran).toEqual([]);
  });

  it('tells its client of tools that are registered while it is connected', async () => {
    const peer = await connect();
    peer.mcpServer.registerTool('later', {}, () => ({ content: [] }));
    await peer.arrival(({ method }) => method === 'notifications/tools/list_changed');
    await expect(peer.call('later')).resolves.toEqual({ content: [] });
  });

  it('sends nothing of a task to the client of its next connection, whoever sets its onclose', async () => {
    const { mcpServer } = await mixed();
    mcpServer.server.onclose = () => {};
    const folder = await emptyFolder();
    const one = await Peer.connect(mcpServer);
    const { taskId } = await one.start('report_steps', { folder, steps: 2 }, {}, 'first');
    await one.reached(taskId, 'running');
    await one.close();
    const two = await Peer.connect(mcpServer);
    await two.cancel(taskId);
    await two.call('echo', { text: 'free' });
    expect(two.notifications('notifications/tasks/status')).toEqual([]);
  });
});

describe('Giving the tools to an McpServer', () => {
  it('works for one that has no tools of its own', async () => {
    const mcpServer = new McpServer({ name: 'host', version: '1' });
    await server.addTo(mcpServer);
    const peer = await Peer.connect(mcpServer);
    await expect(peer.call('add', { a: 1 })).resolves.toHaveProperty('structuredContent', { sum: 2 });
    const { tools } = await peer.request('tools/list');
    expect(tools).toHaveLength(server.tools.length);
  });

  it('works for several, which share the threads and the tasks', async () => {
    const [one, two] = [await connect(), await connect()];
    const gate = await newGate();
    const { taskId } = await one.start('wait_for_file', { path: gate.path });
    gate.open();
    await expect(two.result(taskId)).resolves.toHaveProperty('content');
  });

  it('is refused once it is connected, and leaves its tools as they were', async () => {
    const mcpServer = new McpServer({ name: 'host', version: '1' });
    mcpServer.registerTool('own', {}, () => ({ content: [] }));
    const peer = await Peer.connect(mcpServer);
    await expect(server.addTo(mcpServer)).rejects.toThrow(/connect/);
    const { tools } = await peer.request('tools/list');
    expect((tools as Json[]).map(({ name }) => name as string)).toEqual(['own']);
    await expect(peer.request('tools/call', callParams('own', {}))).resolves.toEqual({ content: [] });
  });

  it('names the SDK version that is known to work, where its handlers are kept elsewhere', async () => {
    const mcpServer = new McpServer({ name: 'host', version: '1' });
    Object.defineProperty(mcpServer.server, '_requestHandlers', {
      value: Object.assign(new Map(), { get: () => undefined }),
    });
    await expect(server.addTo(mcpServer)).rejects.toThrow(/modelcontextprotocol\/sdk .* 1\.32/);
  });

  it('finds the handlers of the tools where this version of the SDK keeps them', () => {
    const mcpServer = new McpServer({ name: 'host', version: '1' });
    mcpServer.registerTool('own', {}, () => ({ content: [] }));
    const { _requestHandlers: handlers } = mcpServer.server as unknown as Json;
    expect(handlers).toBeInstanceOf(Map);
    expect([...(handlers as Map<string, unknown>).keys()]).toEqual(
      expect.arrayContaining(['tools/list', 'tools/call']),
    );
  });
});
