import { readFileSync } from 'node:fs';
import { getEventListeners } from 'node:events';
import { join } from 'node:path';
import { InMemoryTransport } from '@modelcontextprotocol/sdk/inMemory.js';
import {
  ConnectionClosedError,
  InvalidAnswerError,
  RequestTimeoutError,
  TaskClient,
  TaskError,
} from 'mcp-taskpool/client';
import { describe, expect, test } from 'vitest';
import { folderWith } from '../folder.ts';
import { NEVER, ScriptedServer, WireError, meta, task, text, tool, type Json } from './scripted-server.ts';

/** A program that writes its process id to a file, then does as the source says. */
async function child(source: string): Promise<{ command: string; args: string[]; pid: () => number }> {
  const folder = await folderWith({});
  const file = join(folder, 'pid');
  const start = `require('node:fs').writeFileSync(${JSON.stringify(file)}, String(process.pid));`;
  const pid = () => Number(readFileSync(file, 'utf8'));
  return { command: process.execPath, args: ['-e', start + source], pid };
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

describe('connect', () => {
  test('tells the server who the client is', async () => {
    const { server } = await ScriptedServer.connect({}, { name: 'me', version: '7' });
    expect(server.all('initialize')[0]!['clientInfo']).toEqual({ name: 'me', version: '7' });
  });

  test('says which command there is not', async () => {
    await expect(TaskClient.connect({ command: 'no-such-command' })).rejects.toThrow(/no-such-command/);
  });

  test('rejects when the server ends instead of answering', async () => {
    const { command, args } = await child('process.exit(3)');
    await expect(TaskClient.connect({ command, args })).rejects.toThrow(ConnectionClosedError);
  });

  test('leaves no child behind when the server does not answer in time', async () => {
    const { command, args, pid } = await child('process.stdin.resume()');
    const connecting = TaskClient.connect({ command, args }, { connectTimeoutMs: 1000 });
    await expect(connecting).rejects.toThrow(RequestTimeoutError);
    expect(isAlive(pid())).toBe(false);
  });

  test('kills a child that ignores the end of its input and SIGTERM', async () => {
    const { command, args, pid } = await child(`
      process.on('SIGTERM', () => {});
      setInterval(() => {}, 1000);`);
    const connecting = TaskClient.connect({ command, args }, { connectTimeoutMs: 1000 });
    await expect(connecting).rejects.toThrow(RequestTimeoutError);
    expect(isAlive(pid())).toBe(false);
  });

  test('rejects with the reason of its signal', async () => {
    const [near] = InMemoryTransport.createLinkedPair();
    const stop = new AbortController();
    const connecting = TaskClient.connect(near, { signal: stop.signal });
    stop.abort(new Error('enough'));
    await expect(connecting).rejects.toThrow('enough');
    expect(getEventListeners(stop.signal, 'abort')).toEqual([]);
  });

  test('passes on what the server refuses the connection with', async () => {
    const refusal = new WireError(-32602, 'not you');
    const connecting = ScriptedServer.connect({
      answers: {
        initialize() {
          throw refusal;
        },
      },
    });
    await expect(connecting).rejects.toMatchObject({ name: 'TaskError', code: -32602, message: 'not you' });
  });
});

describe('close', () => {
  test('rejects everything that is pending', async () => {
    const { client } = await ScriptedServer.connect({
      answers: {
        'tools/call': ({ task: asked }) => (asked ? { task: task('t1', 'working') } : NEVER),
        'tasks/get': () => NEVER,
        'tasks/result': () => NEVER,
        ping: () => NEVER,
      },
    });
    const handle = client.startTask('work');
    await handle.created();
    const pending = [
      client.callTool('work'),
      handle.result(),
      handle.status(),
      handle.wait(),
      handle[Symbol.asyncIterator]().next(),
      client.startTask('work').result(),
      client.ping(),
    ];
    await client.close();
    for (const { status, ...outcome } of await Promise.allSettled(pending)) {
      expect(status).toBe('rejected');
      expect(outcome).toEqual({ reason: expect.any(ConnectionClosedError) });
    }
  });

  test('makes every later request reject', async () => {
    const { client } = await ScriptedServer.connect();
    await client.close();
    await expect(client.callTool('work')).rejects.toThrow(new ConnectionClosedError('The client is closed'));
    await expect(client.startTask('work')).rejects.toThrow(ConnectionClosedError);
    await expect(client.task('t1').status()).rejects.toThrow(ConnectionClosedError);
    await expect(client.task('t1').wait()).rejects.toThrow(ConnectionClosedError);
    await expect(client.listTools()).rejects.toThrow(ConnectionClosedError);
  });

  test('is done once, however often it is called, and by `await using`', async () => {
    const { client } = await ScriptedServer.connect();
    {
      await using same = client;
      await same.ping();
    }
    await Promise.all([client.close(), client.close()]);
    await expect(client.ping()).rejects.toThrow('The client is closed');
  });

  test('of the server rejects what is pending, and says that it was the server', async () => {
    const { client, server } = await ScriptedServer.connect({ answers: { 'tools/call': () => NEVER } });
    const call = client.callTool('work');
    await server.heardNth('tools/call');
    await server.close();
    await expect(call).rejects.toThrow(new ConnectionClosedError('The server has closed the connection'));
  });

  test('cancels plain calls, and leaves the creation of a task alone', async () => {
    const { client, server } = await ScriptedServer.connect({
      tools: { work: 'optional', plain: undefined },
      answers: { 'tools/call': () => NEVER },
    });
    const call = client.callTool('plain');
    const handle = client.startTask('work');
    await server.heardNth('tools/call', 2);
    await client.close();
    await expect(call).rejects.toThrow(ConnectionClosedError);
    await expect(handle).rejects.toThrow(ConnectionClosedError);
    const calls = server.heard.filter(({ method }) => method === 'tools/call');
    const plain = calls.find(({ params }) => params.name === 'plain')!;
    expect(server.all('notifications/cancelled')).toMatchObject([{ requestId: plain['id'] }]);
  });
});

describe('listTools', () => {
  test('gives the tools of all pages, and asks once', async () => {
    const pages: Json = {
      first: { tools: [tool('a')], nextCursor: 'p2' },
      p2: { tools: [tool('b')], nextCursor: 'p3' },
      p3: { tools: [tool('c')] },
    };
    const { client, server } = await ScriptedServer.connect({
      answers: { 'tools/list': ({ cursor = 'first' }) => pages[cursor] },
    });
    const names = async () => (await client.listTools()).map(({ name }) => name);
    expect(await Promise.all([names(), names()])).toEqual([
      ['a', 'b', 'c'],
      ['a', 'b', 'c'],
    ]);
    expect(server.count('tools/list')).toBe(3);
  });

  test('asks again when the server says that the tools have changed', async () => {
    const { client, server } = await ScriptedServer.connect({ tools: { a: undefined } });
    await client.listTools();
    server.tools = { b: undefined };
    server.notify('notifications/tools/list_changed');
    await client.ping();
    expect((await client.listTools()).map(({ name }) => name)).toEqual(['b']);
  });

  test('asks again after a failure', async () => {
    let fails = true;
    const { client } = await ScriptedServer.connect({
      answers: {
        'tools/list'() {
          if (fails) throw new WireError(-32603, 'not yet');
          return { tools: [tool('a')] };
        },
      },
    });
    await expect(client.listTools()).rejects.toThrow('not yet');
    fails = false;
    expect(await client.listTools()).toHaveLength(1);
  });

  test('rejects when the server gives the same page for ever', async () => {
    const { client } = await ScriptedServer.connect({
      answers: { 'tools/list': () => ({ tools: [], nextCursor: 'same' }) },
    });
    await expect(client.listTools()).rejects.toThrow(InvalidAnswerError);
  });
});

describe('listTasks', () => {
  test('gives the tasks of all pages, queued ones as submitted', async () => {
    const { client } = await ScriptedServer.connect({
      answers: {
        'tasks/list': ({ cursor }) =>
          cursor === undefined
            ? { tasks: [task('t1', 'working', meta('queued', { ahead: 2 }))], nextCursor: 'p2' }
            : { tasks: [task('t2', 'failed', { statusMessage: 'broke' })] },
      },
    });
    expect(await client.listTasks()).toMatchObject([
      { taskId: 't1', status: 'submitted', ahead: 2 },
      { taskId: 't2', status: 'failed', statusMessage: 'broke' },
    ]);
  });

  test('is not asked of a server that does not list tasks', async () => {
    const { client, server } = await ScriptedServer.connect({ tasks: { cancel: {} } });
    await expect(client.listTasks()).rejects.toThrow('The server does not support tasks/list');
    expect(server.count('tasks/list')).toBe(0);
  });
});

describe('callTool', () => {
  test('gives the structured content as data, and the text beside it', async () => {
    const result: Json = { ...text('{"count":3}', 'three'), structuredContent: { count: 3 } };
    const { client } = await ScriptedServer.connect({ answers: { 'tools/call': () => result } });
    const called = await client.callTool<{ count: number }>('work', { limit: 5 });
    expect(called.data.count).toBe(3);
    expect(called).toMatchObject({
      text: '{"count":3}\nthree',
      content: result['content'],
      structuredContent: { count: 3 },
      isError: false,
      raw: result,
    });
  });

  test('gives the text as data where there is no structured content', async () => {
    const { client } = await ScriptedServer.connect({ answers: { 'tools/call': () => text('a', 'b') } });
    expect((await client.callTool('work')).data).toBe('a\nb');
  });

  test('gives a failure that the tool reports as a result', async () => {
    const failure = { ...text('no such city'), isError: true };
    const { client } = await ScriptedServer.connect({ answers: { 'tools/call': () => failure } });
    expect(await client.callTool('work')).toMatchObject({ isError: true, text: 'no such city' });
  });

  test("gives the server's account of the call", async () => {
    const result = { ...text('ok'), ...meta('completed', { thread: 4, ranMs: 9 }) };
    const { client } = await ScriptedServer.connect({ answers: { 'tools/call': () => result } });
    expect((await client.callTool('work')).meta).toEqual({ state: 'completed', thread: 4, ranMs: 9 });
  });

  test("rejects with the server's error in its own words", async () => {
    const { client } = await ScriptedServer.connect({
      answers: {
        'tools/call'() {
          throw new WireError(-32602, 'MCP error -32602: Unknown tool: x', { name: 'x' });
        },
      },
    });
    const call = client.callTool('x');
    await expect(call).rejects.toThrow(TaskError);
    await expect(call).rejects.toMatchObject({
      code: -32602,
      message: 'Unknown tool: x',
      data: { name: 'x' },
    });
  });

  test('rejects when the result does not have the form of one', async () => {
    const { client } = await ScriptedServer.connect({
      answers: { 'tools/call': () => ({ content: 'text' }) },
    });
    await expect(client.callTool('work')).rejects.toThrow(InvalidAnswerError);
  });

  test('passes arguments on, and asks for progress only if somebody listens', async () => {
    const { client, server } = await ScriptedServer.connect({ answers: { 'tools/call': () => text('ok') } });
    await client.callTool('work', { a: 1 });
    await client.callTool('work', { a: 2 }, { onProgress: () => {} });
    expect(server.all('tools/call')).toEqual([
      { name: 'work', arguments: { a: 1 } },
      { name: 'work', arguments: { a: 2 }, _meta: { progressToken: expect.any(String) } },
    ]);
  });

  test('brings the progress of each call to its own listener, until its result', async () => {
    const { client, server } = await ScriptedServer.connect({
      answers: {
        'tools/call': ({ name, _meta: { progressToken } }) => {
          const tell = (progress: number) =>
            server.notify('notifications/progress', { progressToken, progress, total: 2, message: name });
          tell(1);
          tell(2);
          setImmediate(() => tell(3));
          return text('ok');
        },
      },
    });
    const heard: Json[] = [];
    const onProgress = (progress: Json) => void heard.push(progress);
    await Promise.all([client.callTool('a', {}, { onProgress }), client.callTool('b', {}, { onProgress })]);
    await client.ping();
    expect(heard).toHaveLength(4);
    expect(heard.filter(({ message }) => message === 'a')).toEqual([
      { progress: 1, total: 2, message: 'a' },
      { progress: 2, total: 2, message: 'a' },
    ]);
  });

  test("rejects with the signal's reason, and tells the server", async () => {
    const { client, server } = await ScriptedServer.connect({ answers: { 'tools/call': () => NEVER } });
    const stop = new AbortController();
    const call = client.callTool('work', {}, { signal: stop.signal });
    const { id } = await server.heardNth('tools/call');
    stop.abort(new Error('enough'));
    await expect(call).rejects.toThrow('enough');
    const { params } = await server.heardNth('notifications/cancelled');
    expect(params).toMatchObject({ requestId: id });
  });

  test('sends nothing when its signal has aborted before', async () => {
    const { client, server } = await ScriptedServer.connect();
    const signal = AbortSignal.abort(new Error('enough'));
    await expect(client.callTool('work', {}, { signal })).rejects.toThrow('enough');
    await client.ping();
    expect(server.count('tools/call')).toBe(0);
  });

  test('rejects after its timeout, and tells the server', async () => {
    const { client, server } = await ScriptedServer.connect({ answers: { 'tools/call': () => NEVER } });
    const call = client.callTool('work', {}, { timeoutMs: 20 });
    await expect(call).rejects.toThrow(new RequestTimeoutError('tools/call', 20));
    await server.heardNth('notifications/cancelled');
  });

  test('runs a tool that can only be a task as a task', async () => {
    const { client, server } = await ScriptedServer.connect({
      tools: { work: 'required' },
      answers: {
        'tools/call': () => ({ task: task('t1', 'working') }),
        'tasks/result': () => text('done'),
      },
    });
    expect((await client.callTool('work')).data).toBe('done');
    expect(server.all('tools/call')).toMatchObject([{ task: {} }]);
  });

  test('cancels the task when its signal aborts, where the tool can only be a task', async () => {
    const { client, server } = await ScriptedServer.connect({
      tools: { work: 'required' },
      answers: {
        'tools/call': () => ({ task: task('t1', 'working') }),
        'tasks/result': () => NEVER,
        'tasks/cancel': () => task('t1', 'cancelled'),
      },
    });
    const stop = new AbortController();
    const call = client.callTool('work', {}, { signal: stop.signal });
    await server.heardNth('tasks/result');
    stop.abort(new Error('enough'));
    await expect(call).rejects.toThrow('enough');
    expect((await server.heardNth('tasks/cancel'))['params']).toEqual({ taskId: 't1' });
  });

  test('calls a tool as a task when it turns out that it can only be one', async () => {
    const { client, server } = await ScriptedServer.connect({
      tools: { work: undefined },
      answers: {
        'tools/call'({ task: asked }) {
          if (asked !== undefined) return { task: task('t1', 'working') };
          server.tools = { work: 'required' };
          throw new WireError(-32601, 'only as a task');
        },
        'tasks/result': () => text('done'),
      },
    });
    expect((await client.callTool('work')).data).toBe('done');
  });

  test('does not ask for the tools of a server without tasks', async () => {
    const { client, server } = await ScriptedServer.connect({
      tasks: false,
      answers: { 'tools/call': () => text('ok') },
    });
    await client.callTool('work');
    expect(server.count('tools/list')).toBe(0);
  });

  test('puts one listener on a signal that many calls share, and takes it off', async () => {
    const { client, server } = await ScriptedServer.connect({
      answers: { 'tools/call': () => NEVER },
    });
    const { signal } = new AbortController();
    const calls = Array.from({ length: 50 }, () => client.callTool('work', {}, { signal }));
    await server.heardNth('tools/call', 50);
    expect(getEventListeners(signal, 'abort')).toHaveLength(1);
    await server.close();
    await Promise.allSettled(calls);
    expect(getEventListeners(signal, 'abort')).toEqual([]);
  });
});

describe('questions of the server', () => {
  const related = { 'io.modelcontextprotocol/related-task': { taskId: 't1' } };

  test('are answered by `onElicit`, form and URL, with the task that they belong to', async () => {
    const asked: unknown[] = [];
    const { server } = await ScriptedServer.connect(
      {},
      {
        onElicit(params, { taskId }) {
          asked.push([params.mode, taskId]);
          return { action: 'accept', content: { name: 'Ada' } };
        },
      },
    );
    expect(server.all('initialize')[0]!['capabilities']).toEqual({ elicitation: { form: {}, url: {} } });
    const form = { message: 'Who?', requestedSchema: { type: 'object', properties: {} }, _meta: related };
    const answer = await server.ask('elicitation/create', form);
    expect(answer['result']).toEqual({ action: 'accept', content: { name: 'Ada' }, _meta: related });
    const url = { mode: 'url', message: 'Log in', elicitationId: 'e1', url: 'https://example.com/' };
    await server.ask('elicitation/create', url);
    expect(asked).toEqual([
      ['form', 't1'],
      ['url', undefined],
    ]);
  });

  test('are answered by `onSample`', async () => {
    const { server } = await ScriptedServer.connect(
      {},
      { onSample: () => ({ model: 'm', role: 'assistant', content: { type: 'text', text: 'yes' } }) },
    );
    expect(server.all('initialize')[0]!['capabilities']).toEqual({ sampling: {} });
    const message = { role: 'user', content: { type: 'text', text: 'Is it?' } };
    const { result } = await server.ask('sampling/createMessage', { messages: [message], maxTokens: 5 });
    expect(result).toMatchObject({ model: 'm', content: { text: 'yes' } });
  });

  test('are refused where nobody answers them', async () => {
    const { server } = await ScriptedServer.connect();
    expect(server.all('initialize')[0]!['capabilities']).toEqual({});
    const { error } = await server.ask('elicitation/create', { message: 'Who?', requestedSchema: {} });
    expect(error).toMatchObject({ code: -32601 });
  });
});
