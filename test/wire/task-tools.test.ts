import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { createServer as createHttpServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { InMemoryTransport } from '@modelcontextprotocol/sdk/inMemory.js';
import type { Transport } from '@modelcontextprotocol/sdk/shared/transport.js';
import type { AuthInfo } from '@modelcontextprotocol/sdk/server/auth/types.js';
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';
import { CallToolResultSchema, ElicitRequestSchema } from '@modelcontextprotocol/sdk/types.js';
import { CatalogError, createServer, type TaskServer } from 'mcp-taskpool';
import { afterAll, describe, expect, it, onTestFinished } from 'vitest';
import { folderWith, toolSource } from '../folder.ts';
import {
  emptyFolder,
  newGate,
  serveFixtures,
  serveFixturesOnce,
  startRunning,
  until,
  type Gate,
} from './fixtures.ts';
import { callParams, Peer, type Json } from './peer.ts';

/** Longer than a test may take: what is answered was not answered because the time was over. */
const LONG = 50;
/** Shorter than anything takes that a test holds up. */
const SHORT = 0.05;

const NAMES = ['start_task', 'check_task', 'cancel_task', 'list_tasks'];
const CLI = fileURLToPath(new URL('../../dist/src/cli/main.js', import.meta.url));
const FIXTURES = fileURLToPath(new URL('../../dist/test/fixtures/tools/', import.meta.url));

const text = (result: Json): string => result['content'][0].text;

/** The SDK's client as it comes: it has no word for tasks, and checks what is structured against the schemas. */
class Host {
  readonly client: Client;

  private constructor(client: Client) {
    this.client = client;
  }

  static async connect(transport: Transport): Promise<Host> {
    const client = new Client({ name: 'host', version: '1' }, { capabilities: {} });
    await client.connect(transport);
    await client.listTools();
    return new Host(client);
  }

  call(name: string, args: Json = {}): Promise<Json> {
    return this.client.callTool({ name, arguments: args });
  }

  /** Starts a task, and gives its id. */
  async start(tool: string, args: Json = {}, more: Json = {}): Promise<string> {
    const { structuredContent } = await this.call('start_task', { tool, arguments: args, ...more });
    return structuredContent.taskId;
  }

  check(taskId: string, waitSeconds = LONG): Promise<Json> {
    return this.call('check_task', { taskId, waitSeconds });
  }

  /** Resolves once the task is in this state. */
  async reached(taskId: string, status: string): Promise<void> {
    await until(async () => (await this.check(taskId, 0))['structuredContent'].status === status);
  }
}

const server = await serveFixtures({ taskTools: true });

async function inMemory(): Promise<Host> {
  const [near, far] = InMemoryTransport.createLinkedPair();
  await server.connect(far);
  return Host.connect(near);
}

function overStdio(): Promise<Host> {
  const args = [CLI, 'serve', '--tools', FIXTURES, '--threads', '1', '--store', 'memory', '--task-tools'];
  return Host.connect(new StdioClientTransport({ command: process.execPath, args }));
}

describe.each([
  ['in memory', await inMemory()],
  ['over stdio', await overStdio()],
])('A client that knows no tasks, %s,', (_, host) => {
  afterAll(() => host.client.close());

  /** Has the one thread wait until the gate is opened. */
  async function occupied(): Promise<{ gate: Gate; taskId: string }> {
    const gate = await newGate();
    const taskId = await host.start('wait_for_file', { path: gate.path });
    await host.reached(taskId, 'running');
    return { gate, taskId };
  }

  it('is shown four tools more, which may not be called as tasks', async () => {
    const { tools } = await host.client.listTools();
    expect(tools.slice(-4).map(({ name }) => name)).toEqual(NAMES);
    for (const tool of tools.slice(-4)) {
      expect(tool).toMatchObject({
        title: expect.any(String),
        description: expect.any(String),
        inputSchema: { type: 'object', additionalProperties: false },
        outputSchema: { type: 'object' },
        execution: { taskSupport: 'forbidden' },
      });
    }
    const [start, check, , list] = tools.slice(-4);
    expect([check!.annotations?.readOnlyHint, list!.annotations?.readOnlyHint]).toEqual([true, true]);
    // What can be started, and what can be started only.
    const { enum: names } = start!.inputSchema.properties!['tool'] as { enum: string[] };
    expect(names).toEqual(expect.arrayContaining(['add', 'only_as_task']));
    expect(names).not.toContain('never_as_task');
    expect(start!.description).toContain('in this way only: only_as_task.');
  });

  it('is given a task at once, and its result the moment that there is one', async () => {
    const gate = await newGate();
    const started = await host.call('start_task', {
      tool: 'wait_for_file',
      arguments: { path: gate.path },
    });
    const { structuredContent: task } = started;
    expect(task).toMatchObject({
      taskId: expect.any(String),
      tool: 'wait_for_file',
      status: expect.stringMatching(/^(queued|running)$/),
      next: `Call check_task with taskId ${task.taskId} to get the result`,
    });
    expect(JSON.parse(text(started))).toEqual(task);
    const checked = host.check(task.taskId);
    // The check has arrived by then.
    await host.client.ping();
    gate.open();
    expect(await checked).toMatchObject({
      content: [{ type: 'text', text: 'the file exists' }],
      structuredContent: {
        taskId: task.taskId,
        tool: 'wait_for_file',
        status: 'completed',
        message: 'completed',
        queuedSeconds: expect.any(Number),
        ranSeconds: expect.any(Number),
        result: 'the file exists',
      },
    });
    expect(await checked).not.toHaveProperty('structuredContent.next');
    expect(await checked).not.toHaveProperty('isError');
  });

  it('waits for a tool that takes as long as it likes, in calls that each end in time', async () => {
    const { gate, taskId } = await occupied();
    const ran: number[] = [];
    for (let calls = 0; calls < 5; calls++) {
      const checked = await host.check(taskId, SHORT);
      const { structuredContent: task } = checked;
      expect(task).toMatchObject({ taskId, status: 'running', message: 'running' });
      expect(task.next).toBe(`Not finished: call check_task again with taskId ${taskId}`);
      expect(JSON.parse(text(checked))).toEqual(task);
      ran.push(task.ranSeconds);
    }
    // Each call waited for as long as it was told to.
    expect(ran.at(-1)! - ran[0]!).toBeGreaterThan(4 * SHORT * 0.9);
    gate.open();
    expect(text(await host.check(taskId))).toBe('the file exists');
    // The result stays.
    expect(text(await host.check(taskId))).toBe('the file exists');
  });

  it.each([
    ['structured content', 'add', { a: 1, b: 2 }, { sum: 3 }],
    ['text', 'echo', { text: 'hello' }, 'hello'],
    ['blocks of every kind', 'return_everything', {}, { of: 'everything' }],
  ])('has of a task what a call gives: %s', async (_, tool, args, result) => {
    const called = await host.call(tool, args);
    const checked = await host.check(await host.start(tool, args));
    expect(checked['content']).toEqual(called['content']);
    expect(checked['structuredContent']).toMatchObject({ status: 'completed', result });
  });

  it.each([
    ['returns an error', 'return_error', /^no such city$/, /^no such city$/],
    ['throws', 'throw_error', /^the tool failed$/, /^the tool failed$/],
    ['runs out of time', 'time_out', /^The task failed: .*50 ms/, /50 ms/],
  ])('is told of a tool that %s', async (_, tool, words, message) => {
    const checked = await host.check(await host.start(tool));
    expect(checked).toMatchObject({
      isError: true,
      structuredContent: { status: 'failed', message: expect.stringMatching(message) },
    });
    expect(text(checked)).toMatch(words);
  });

  it('sees how far a task is, and is not woken by its progress', async () => {
    const { gate, taskId: first } = await occupied();
    const args = { folder: await emptyFolder(), steps: 2 };
    const taskId = await host.start('report_steps', args);
    const { structuredContent: waiting } = await host.check(taskId, 0);
    expect(waiting).toMatchObject({ status: 'queued', message: 'queued, 0 ahead', ahead: 0 });
    expect(waiting).not.toHaveProperty('ranSeconds');
    const last = host.check(taskId);
    gate.open();
    await host.check(first);
    await until(async () => (await host.check(taskId, 0))['structuredContent'].progress !== undefined);
    expect((await host.check(taskId, 0))['structuredContent']).toMatchObject({
      status: 'running',
      message: 'step 1',
      progress: { done: 1, total: 2 },
    });
    for (const step of [1, 2]) await writeFile(join(args.folder, `${step}`), '');
    expect((await last)['structuredContent']).toMatchObject({ status: 'completed', result: '2 steps' });
  });

  it('stops a task that runs, even one that is deaf', async () => {
    const started = await newGate();
    const taskId = await host.start('spin', { started: started.path });
    await started.opened();
    const checked = host.check(taskId);
    const cancelled = await host.call('cancel_task', { taskId });
    expect(cancelled['structuredContent']).toMatchObject({
      taskId,
      status: 'cancelled',
      message: 'The task was cancelled by request',
    });
    expect((await checked)['structuredContent']).toMatchObject({ taskId, status: 'cancelled' });
    expect(await checked).not.toHaveProperty('isError');
    expect(text(await host.call('echo', { text: 'free' }))).toBe('free');
  });

  it('stops a task that waits: it never starts', async () => {
    const { gate, taskId: first } = await occupied();
    const trace = await newGate();
    const taskId = await host.start('leave_trace', { trace: trace.path });
    const { structuredContent } = await host.call('cancel_task', { taskId });
    expect(structuredContent).toMatchObject({ status: 'cancelled' });
    expect(structuredContent).not.toHaveProperty('ranSeconds');
    gate.open();
    await host.check(first);
    await host.call('echo', { text: 'free' });
    expect(trace.isOpen).toBe(false);
  });

  it('is told that a task has ended before it was to be stopped', async () => {
    const taskId = await host.start('echo', { text: 'a' });
    await host.check(taskId);
    expect(await host.call('cancel_task', { taskId })).toEqual({
      content: [{ type: 'text', text: "Cannot cancel task: already in terminal status 'completed'" }],
      isError: true,
    });
  });

  it.each(['check_task', 'cancel_task'])('is told by %s that there is no such task', async (name) => {
    expect(await host.call(name, { taskId: 'none' })).toEqual({
      content: [{ type: 'text', text: 'Task not found: it does not exist, or has expired' }],
      isError: true,
    });
  });

  it.each([
    ['start_task', {}, /^Invalid arguments for tool start_task: tool: /],
    ['start_task', { tool: 3 }, /start_task: tool: /],
    ['start_task', { tool: 'add', arguments: [1] }, /start_task: arguments: /],
    [
      'start_task',
      { tool: 'add', arguments: { a: 'one' } },
      /^Invalid arguments for tool add: a must be number/,
    ],
    ['start_task', { tool: 'add', ttlSeconds: 0 }, /start_task: ttlSeconds: /],
    ['start_task', { tool: 'add', idempotencyKey: '' }, /start_task: idempotencyKey: /],
    ['start_task', { tool: 'mcp__add' }, /start_task: tool: there is no "mcp__add", but .*add, .*echo, /],
    ['start_task', { tool: 'start_task' }, /start_task: tool: there is no "start_task"/],
    [
      'start_task',
      { tool: 'never_as_task' },
      /^Tool never_as_task cannot be started as a task: call it directly$/,
    ],
    ['check_task', {}, /^Invalid arguments for tool check_task: taskId: /],
    ['check_task', { task_id: 'a' }, /taskId: .*; arguments: .*"task_id"/],
    ['check_task', { taskId: 'a', waitSeconds: 51 }, /check_task: waitSeconds: .*50/],
    ['check_task', { taskId: 'a', waitSeconds: -1 }, /check_task: waitSeconds: /],
    ['cancel_task', { taskId: 7 }, /^Invalid arguments for tool cancel_task: taskId: /],
    ['list_tasks', { limit: 0 }, /^Invalid arguments for tool list_tasks: limit: /],
    ['list_tasks', { cursor: 'none' }, /^Invalid cursor/],
  ])('is told by %s what is wrong with %j', async (name, args, words) => {
    const result = await host.call(name, args);
    expect(result).toEqual({
      content: [{ type: 'text', text: expect.stringMatching(words) }],
      isError: true,
    });
  });

  it('reaches a tool that runs as a task only, and is told how', async () => {
    const called = host.client.request(
      { method: 'tools/call', params: { name: 'only_as_task', arguments: {} } },
      CallToolResultSchema,
    );
    await expect(called).rejects.toMatchObject({
      code: -32601,
      message: expect.stringMatching(/only_as_task can only be called as a task: .*start_task/),
    });
    expect(text(await host.check(await host.start('only_as_task')))).toBe('ran');
  });

  it('starts a task once for each idempotency key', async () => {
    const key = { idempotencyKey: crypto.randomUUID() };
    const taskId = await host.start('add', { a: 1 }, key);
    expect(await host.start('add', { a: 1 }, key)).toBe(taskId);
    const other = await host.call('start_task', { tool: 'add', arguments: { a: 2 }, ...key });
    expect(other).toMatchObject({
      isError: true,
      content: [{ text: expect.stringMatching(/idempotency key/) }],
    });
  });

  it('keeps a task for as long as it wants to', async () => {
    const start = async (more: Json) => {
      const { structuredContent } = await host.call('start_task', { tool: 'with_own_limits', ...more });
      return (Date.parse(structuredContent.expiresAt) - Date.parse(structuredContent.createdAt)) / 1000;
    };
    expect(await start({ ttlSeconds: 90 })).toBe(90);
    expect(await start({})).toBe(20);
  });

  it('hears of a task that expires while it waits', async () => {
    const gate = await newGate();
    const taskId = await host.start('wait_for_file', { path: gate.path }, { ttlSeconds: 0.3 });
    expect(await host.check(taskId)).toMatchObject({
      isError: true,
      content: [{ text: 'Task not found: it does not exist, or has expired' }],
    });
  });

  it('lists its tasks, a page at a time', async () => {
    const ids = [];
    for (let count = 0; count < 3; count++) ids.push(await host.start('echo', { text: 'a' }));
    const listed: Json[] = [];
    for (let cursor: Json = {}; ;) {
      const { structuredContent: page } = await host.call('list_tasks', { limit: 2, ...cursor });
      expect(page.tasks.length).toBeLessThanOrEqual(2);
      listed.push(...page.tasks);
      if (page.nextCursor === undefined) break;
      cursor = { cursor: page.nextCursor };
    }
    expect(listed.slice(-3).map(({ taskId }) => taskId as string)).toEqual(ids);
    expect(listed.at(-1)).not.toHaveProperty('result');
  });
});

describe('check_task', () => {
  const tools = {
    'steps.js': toolSource(
      `input: z.object({ gate: z.string() }), run: async ({ gate }, { progress, log, signal }) => {
        progress(1, 2);
        while (!existsSync(gate)) await setTimeout(5, undefined, { signal });
        progress(2, 2);
        log('info', 'through');
        return 'done';
      }`,
      "import { existsSync } from 'node:fs'; import { setTimeout } from 'node:timers/promises';",
    ),
  };

  async function serve() {
    const server = await createServer({ tools: await folderWith(tools), threads: 1, taskTools: true });
    onTestFinished(() => server.close({ drainMs: 0 }));
    const peer = await Peer.connect(server);
    const gate = await newGate();
    const start = { tool: 'steps', arguments: { gate: gate.path } };
    const { taskId } = (await peer.call('start_task', start))['structuredContent'];
    const hasBegun = async () =>
      (await peer.call('check_task', { taskId, waitSeconds: 0 }))['structuredContent'].progress !== undefined;
    await until(hasBegun);
    return { peer, gate, taskId };
  }

  const told = (peer: Peer, progressToken: string) =>
    peer
      .notifications('notifications/progress')
      .filter((params) => params['progressToken'] === progressToken)
      .map(({ progress, total }) => [progress, total] as unknown);

  it('tells of progress with its own token and of logs while it waits', async () => {
    const { peer, gate, taskId } = await serve();
    const checked = peer.call('check_task', { taskId, waitSeconds: LONG }, 'mine');
    await peer.request('ping');
    gate.open();
    await checked;
    expect(told(peer, 'mine')).toEqual([[2, 2]]);
    expect(peer.notifications('notifications/message')).toEqual([
      { level: 'info', logger: 'steps', data: 'through' },
    ]);
  });

  it.each([
    [
      'whose time was over',
      async (peer: Peer, taskId: string) => {
        await peer.call('check_task', { taskId, waitSeconds: SHORT }, 'over');
      },
    ],
    [
      'that was cancelled',
      async (peer: Peer, taskId: string) => {
        const id = peer.send(
          'tools/call',
          callParams('check_task', { taskId, waitSeconds: LONG }, undefined, 'over'),
        );
        peer.notify('notifications/cancelled', { requestId: id });
      },
    ],
  ])('leaves nothing of a request %s; the task goes on', async (_, check) => {
    const { peer, gate, taskId } = await serve();
    await check(peer, taskId);
    gate.open();
    const checked = await peer.call('check_task', { taskId, waitSeconds: LONG }, 'later');
    expect(text(checked)).toBe('done');
    expect(told(peer, 'over')).toEqual([]);
    expect(told(peer, 'later')).toEqual([[2, 2]]);
    expect(peer.notifications('notifications/message')).toHaveLength(1);
  });

  it('is not kept waiting by a server that closes', async () => {
    const server = await serveFixturesOnce({ taskTools: true });
    const peer = await Peer.connect(server);
    const started = await newGate();
    const start = { tool: 'spin', arguments: { started: started.path } };
    const { taskId } = (await peer.call('start_task', start))['structuredContent'];
    await started.opened();
    const checked = peer.call('check_task', { taskId, waitSeconds: LONG });
    await peer.request('ping');
    const closed = server.close({ drainMs: 0 });
    expect(await checked).toMatchObject({
      isError: true,
      structuredContent: { status: 'failed', message: 'interrupted: the server is closing' },
    });
    await closed;
  });
});

/** The two ends of a connection. */
const CONNECTIONS = {
  'in memory': async (server: TaskServer): Promise<Transport> => {
    const [near, far] = InMemoryTransport.createLinkedPair();
    await server.connect(far);
    return near;
  },
  'over HTTP': async (server: TaskServer): Promise<Transport> => {
    const transport = new StreamableHTTPServerTransport({ sessionIdGenerator: () => crypto.randomUUID() });
    await server.connect(transport);
    const http = createHttpServer((request, response) => void transport.handleRequest(request, response));
    http.listen(0, '127.0.0.1');
    await once(http, 'listening');
    onTestFinished(async () => {
      http.closeAllConnections();
      http.close();
      await once(http, 'close');
    });
    const { port } = http.address() as AddressInfo;
    return new StreamableHTTPClientTransport(new URL(`http://127.0.0.1:${port}/mcp`));
  },
};

describe.each(Object.entries(CONNECTIONS))('A tool that asks, started with start_task %s,', (_, connect) => {
  const tools = {
    'confirm.js': toolSource(`run: async (_, { input }) => {
      const answer = await input({ message: 'Delete it?', requestedSchema: z.object({ sure: z.boolean() }) });
      return { sure: answer.content.sure };
    }`),
  };

  interface Asked {
    answer(sure: boolean): void;
    readonly signal: AbortSignal;
  }

  async function serve(capabilities: Json) {
    const server = await createServer({ tools: await folderWith(tools), threads: 1, taskTools: true });
    onTestFinished(() => server.close({ drainMs: 0 }));
    const client = new Client({ name: 'host', version: '1' }, { capabilities });
    onTestFinished(() => client.close());
    const asked: Asked[] = [];
    if (capabilities['elicitation'] !== undefined) {
      client.setRequestHandler(ElicitRequestSchema, (_, { signal }) => {
        return new Promise((resolve) => {
          const answer = (sure: boolean) => resolve({ action: 'accept', content: { sure } });
          asked.push({ answer, signal });
        });
      });
    }
    await client.connect(await connect(server));
    const call = (name: string, args: Json = {}, options: Json = {}) =>
      client.callTool({ name, arguments: args }, undefined, options) as Promise<Json>;
    const { taskId } = (await call('start_task', { tool: 'confirm' }))['structuredContent'];
    const check = (waitSeconds = LONG, options: Json = {}) =>
      call('check_task', { taskId, waitSeconds }, options);
    return { asked, call, check };
  }

  it('has the answer of the user while check_task waits', async () => {
    const { asked, check } = await serve({ elicitation: {} });
    const checked = check();
    await until(() => asked.length > 0);
    asked[0]!.answer(true);
    expect((await checked)['structuredContent']).toMatchObject({
      status: 'completed',
      result: { sure: true },
    });
  });

  it('lets the user take longer than a check, and asks once', async () => {
    const { asked, check } = await serve({ elicitation: {} });
    // The one that asked is over.
    while (asked.length === 0) await check(SHORT);
    for (let more = 0; more < 2; more++) {
      expect((await check(SHORT))['structuredContent']).toMatchObject({
        status: 'input_required',
        next: expect.stringMatching(/call check_task again/),
      });
    }
    expect(asked.map(({ signal }) => signal.aborted)).toEqual([false]);
    const last = check();
    asked[0]!.answer(false);
    expect((await last)['structuredContent']).toMatchObject({ status: 'completed', result: { sure: false } });
  });

  it('asks again where the check was dropped that asked', async () => {
    const { asked, check } = await serve({ elicitation: {} });
    const stop = new AbortController();
    const dropped = check(LONG, { signal: stop.signal });
    await until(() => asked.length > 0);
    stop.abort();
    await expect(dropped).rejects.toThrow();
    const checked = check();
    await until(() => asked.length > 1);
    expect(asked[0]!.signal.aborted).toBe(true);
    asked[1]!.answer(true);
    expect((await checked)['structuredContent']).toMatchObject({ result: { sure: true } });
  });

  it('takes the question back when it is cancelled', async () => {
    const { asked, call, check } = await serve({ elicitation: {} });
    const checked = check();
    await until(() => asked.length > 0);
    const { tasks } = (await call('list_tasks'))['structuredContent'];
    await call('cancel_task', { taskId: tasks[0].taskId });
    expect((await checked)['structuredContent']).toMatchObject({ status: 'cancelled' });
    await until(() => asked[0]!.signal.aborted);
  });

  it('fails where the client cannot be asked, though nobody checks', async () => {
    const { call } = await serve({});
    const task = async () => (await call('list_tasks'))['structuredContent'].tasks[0] as Json;
    await until(async () => (await task())['status'] === 'failed');
    expect((await task())['message']).toMatch(/does not support elicitation/);
  });
});

describe('Task tools of many owners', () => {
  const authInfoOf = (user: string): AuthInfo => ({
    token: `of ${user}`,
    clientId: 'app',
    scopes: [],
    extra: { user },
  });

  it('answer for a task of another one as for one that does not exist', async () => {
    const server = await serveFixturesOnce({
      taskTools: true,
      owner: ({ authInfo }) => authInfo!.extra!['user'] as string,
    });
    const ann = await Peer.connect(server, { authInfo: authInfoOf('ann') });
    const bob = await Peer.connect(server, { authInfo: authInfoOf('bob') });
    const start = { tool: 'echo', arguments: { text: 'secret' } };
    const { taskId } = (await ann.call('start_task', start))['structuredContent'];
    for (const name of ['check_task', 'cancel_task']) {
      expect(await bob.call(name, { taskId })).toEqual(await bob.call(name, { taskId: 'none' }));
    }
    expect((await bob.call('list_tasks'))['structuredContent']).toEqual({ tasks: [] });
    expect((await ann.call('list_tasks'))['structuredContent'].tasks).toMatchObject([{ taskId }]);
    expect(text(await ann.call('check_task', { taskId }))).toBe('secret');
  });

  it('list the tasks of a session, where that is all that is known of the owner', async () => {
    const server = await serveFixturesOnce({ taskTools: true });
    const [one, two] = [
      await Peer.connect(server, { sessionId: 'one' }),
      await Peer.connect(server, { sessionId: 'two' }),
    ];
    const { taskId } = (await one.call('start_task', { tool: 'echo', arguments: { text: 'a' } }))[
      'structuredContent'
    ];
    expect((await one.call('list_tasks'))['structuredContent'].tasks).toMatchObject([{ taskId }]);
    expect((await two.call('list_tasks'))['structuredContent'].tasks).toEqual([]);
  });

  it('count the tasks that are unknown, as tasks/get does', async () => {
    const server = await serveFixturesOnce({ taskTools: true, maxLookUpMisses: 3 });
    const peer = await Peer.connect(server);
    await peer.call('check_task', { taskId: 'none' });
    await peer.call('cancel_task', { taskId: 'none' });
    await expect(peer.get('none')).rejects.toMatchObject({ code: -32602 });
    for (const name of ['check_task', 'cancel_task']) {
      expect(await peer.call(name, { taskId: 'none' })).toMatchObject({
        isError: true,
        content: [{ text: expect.stringMatching(/Too many requests for unknown tasks; try again in \d+ s/) }],
      });
    }
  });

  it('say when too much waits', async () => {
    const server = await serveFixturesOnce({ taskTools: true, maxQueuedPerOwner: 1 });
    const peer = await Peer.connect(server);
    await startRunning(peer, 'spin');
    const start = { tool: 'echo', arguments: { text: 'a' } };
    await peer.call('start_task', start);
    expect(await peer.call('start_task', start)).toMatchObject({
      isError: true,
      content: [{ text: expect.stringMatching(/Too many tasks wait: .* try again in/) }],
    });
  });
});

describe('The names of the task tools', () => {
  const tools = {
    'check.js': toolSource("name: 'check_task', run: () => 'its own'"),
    'fine.js': toolSource(''),
  };

  it('are not free for a tool of the folder', async () => {
    const folder = await folderWith(tools);
    const refused = createServer({ tools: folder, taskTools: true });
    await expect(refused).rejects.toBeInstanceOf(CatalogError);
    await expect(refused).rejects.toThrow(`${folder}/check.js: "check_task" is a task tool's name`);
  });

  it('have it left out where that is wanted', async () => {
    const problems: string[] = [];
    const log = {
      info: () => {},
      warn: (_: object, problem: string) => problems.push(problem),
      error: () => {},
    };
    const folder = await folderWith(tools);
    const server = await createServer({ tools: folder, taskTools: true, lenient: true, threads: 1, log });
    onTestFinished(() => server.close());
    expect(server.tools).toEqual(['fine']);
    expect(problems).toEqual([
      expect.stringMatching(/left out: .*check\.js: "check_task" is a task tool's name/),
    ]);
  });

  it('are free, and mean nothing, where there are no task tools', async () => {
    const server = await createServer({ tools: await folderWith(tools), threads: 1 });
    onTestFinished(() => server.close());
    const peer = await Peer.connect(server);
    expect(text(await peer.call('check_task'))).toBe('its own');
    await expect(peer.call('start_task', { tool: 'fine' })).rejects.toMatchObject({
      code: -32602,
      message: 'Unknown tool: start_task',
    });
  });

  it('belong to the task tools also where an McpServer has a tool of such a name', async () => {
    const mcpServer = new McpServer({ name: 'host', version: '1' });
    const own = { content: [{ type: 'text' as const, text: 'its own' }] };
    mcpServer.registerTool('list_tasks', {}, () => own);
    mcpServer.registerTool('other', {}, () => own);
    await server.addTo(mcpServer);
    const peer = await Peer.connect(mcpServer);
    const names = ((await peer.request('tools/list'))['tools'] as Json[]).map(({ name }) => name as string);
    expect(names.slice(-5)).toEqual([...NAMES, 'other']);
    expect(await peer.call('list_tasks')).toHaveProperty('structuredContent.tasks');
    expect(text(await peer.call('other'))).toBe('its own');
  });

  it('cannot be called as tasks', async () => {
    const peer = await Peer.connect(server);
    await expect(
      peer.request('tools/call', callParams('check_task', { taskId: 'none' }, {})),
    ).rejects.toMatchObject({ code: -32601 });
  });
});
