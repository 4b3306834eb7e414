import { fileURLToPath } from 'node:url';
import { TaskCancelledError, TaskClient, type ConnectOptions, type Target } from 'mcp-taskpool/client';
import { describe, expect, onTestFinished, test } from 'vitest';
import { inMemory, overHttp } from './modern-channels.ts';
import { modernWorld } from './modern-world.ts';

const CHILD = fileURLToPath(new URL('../../dist/test/fixtures/modern-stdio.js', import.meta.url));

const TARGETS: Record<string, () => Promise<Target>> = {
  'in memory': () => inMemory(modernWorld()),
  'over HTTP, answered in JSON': async () => ({ url: await overHttp(modernWorld(), 'json') }),
  'over HTTP, answered on streams': async () => ({ url: await overHttp(modernWorld(), 'sse') }),
  'over stdio': async () => ({ command: process.execPath, args: [CHILD] }),
};

const handlers: ConnectOptions = {
  onElicit: ({ message }) => ({ action: 'accept', content: { answer: message.replace(/\W.*/, '') } }),
  onSample: () => ({ role: 'assistant', model: 'm', content: { type: 'text', text: 'word' } }),
};

describe.each(Object.keys(TARGETS))('with a server of 2026-07-28 %s, a client', (way) => {
  async function connect(options: ConnectOptions = {}): Promise<TaskClient> {
    const client = await TaskClient.connect(await TARGETS[way]!(), { ...handlers, ...options });
    onTestFinished(() => client.close());
    return client;
  }

  test('finds out by itself what it speaks', async () => {
    const client = await connect();
    expect(client.protocol).toBe('2026-07-28');
    await client.ping();
    expect((await client.listTools()).map(({ name }) => name)).toContain('greet');
  });

  test('is told so beforehand', async () => {
    const client = await connect({ protocol: '2026-07-28' });
    expect((await client.callTool('greet', { name: 'Ada' })).text).toBe('Hello, Ada!');
  });

  test('calls a tool that answers at once', async () => {
    const client = await connect();
    expect((await client.callTool('greet', { name: 'Ada' })).text).toBe('Hello, Ada!');
    await expect(client.callTool('none')).rejects.toThrow('Unknown tool: none');
  });

  test('follows a task to its result', async () => {
    const client = await connect();
    const statuses: string[] = [];
    const handle = client.startTask('work');
    handle.onStatusChange(({ status }) => statuses.push(status));
    expect((await handle).text).toBe('worked');
    expect(handle.mode).toBe('task');
    expect(statuses).toEqual(['working', 'completed']);
    expect((await client.callTool('work')).text).toBe('worked');
  });

  test('hears of a task what only notifications say', async () => {
    const client = await connect();
    expect((await client.startTask('watched')).text).toBe('seen');
  });

  test('tells the failures of a tool from those of a task', async () => {
    const client = await connect();
    expect(await client.callTool('broken')).toMatchObject({ isError: true, text: 'it broke' });
    const failure = { name: 'TaskError', code: -32603, message: 'the worker died' };
    await expect(client.startTask('failing')).rejects.toMatchObject(failure);
  });

  test('answers what a call asks before it runs', async () => {
    const client = await connect();
    expect((await client.callTool('ask_first')).text).toBe('accept');
  });

  test('answers two questions of a task at once', async () => {
    const client = await connect();
    expect((await client.startTask('ask')).text).toBe('Your word');
  });

  test('hears the progress of the call', async () => {
    const client = await connect();
    const heard: unknown[] = [];
    await client.callTool('greet', {}, { onProgress: (progress) => heard.push(progress) });
    expect(heard).toEqual([{ progress: 1 }]);
  });

  test('cancels a task', async () => {
    const client = await connect();
    const handle = client.startTask('endless');
    await handle.created();
    expect(await handle.cancel()).toMatchObject({ status: 'cancelled' });
    await expect(handle).rejects.toThrow(TaskCancelledError);
  });

  test('takes up a task by its id', async () => {
    const client = await connect();
    const taskId = await client.startTask('work').created();
    expect((await client.task(taskId!)).text).toBe('worked');
    await expect(client.task('another')).rejects.toThrow('Task not found');
  });

  test('runs a hundred tasks at once, and mixes nothing up', async () => {
    const client = await connect();
    const tools = ['work', 'broken', 'watched', 'ask', 'greet'];
    const texts = ['worked', 'it broke', 'seen', 'Your word', 'Hello, undefined!'];
    const handles = Array.from({ length: 100 }, (_, n) => client.startTask(tools[n % tools.length]!));
    const results = await Promise.all(handles);
    expect(results.map(({ text }) => text)).toEqual(handles.map((_, n) => texts[n % texts.length]));
  });
});

test('no child stays behind a client that could not connect to it', async () => {
  const target = { command: process.execPath, args: ['-e', 'process.stdin.resume()'] };
  const started = performance.now();
  const connecting = TaskClient.connect(target, { protocol: '2026-07-28', connectTimeoutMs: 300 });
  await expect(connecting).rejects.toThrow(/server\/discover: no answer within 300 ms/);
  // It ended with its input, and was waited for.
  expect(performance.now() - started).toBeLessThan(10_000);
});

test('says which command there is not', async () => {
  const connecting = TaskClient.connect({ command: 'no-such-command' }, { protocol: '2026-07-28' });
  await expect(connecting).rejects.toThrow(/no-such-command/);
});
