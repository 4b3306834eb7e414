import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { InMemoryTransport } from '@modelcontextprotocol/sdk/inMemory.js';
import { TaskCancelledError, TaskClient } from 'mcp-taskpool/client';
import { describe, expect, onTestFinished, test } from 'vitest';
import { emptyFolder, newGate, serveFixturesOnce } from '../wire/fixtures.ts';

const CLI = fileURLToPath(new URL('../../dist/src/cli/main.js', import.meta.url));
const TOOLS = fileURLToPath(new URL('../../dist/test/fixtures/tools/', import.meta.url));

const stdio = {
  command: process.execPath,
  args: [CLI, 'serve', '--tools', TOOLS, '--threads', '1', '--store', 'memory'],
};

/** A client of our server, in memory and as a child process. */
const WAYS: Record<string, () => Promise<TaskClient>> = {
  async 'in memory'() {
    const server = await serveFixturesOnce();
    const [near, far] = InMemoryTransport.createLinkedPair();
    await server.connect(far);
    return TaskClient.connect(near);
  },
  'over stdio': () => TaskClient.connect({ ...stdio, stderr: 'ignore' }),
};

describe.each(Object.keys(WAYS))('with our server %s, a client', (way) => {
  async function connect(): Promise<TaskClient> {
    const client = await WAYS[way]!();
    onTestFinished(() => client.close());
    return client;
  }

  test('calls a tool', async () => {
    const client = await connect();
    const { data, meta } = await client.callTool<{ sum: number }>('add', { a: 2, b: 3 });
    expect(data.sum).toBe(5);
    expect(meta).toMatchObject({ state: 'completed' });
  });

  test('follows a task from submitted to its end', async () => {
    const client = await connect();
    const gate = await newGate();
    // Takes the only thread, so that the next one waits.
    const first = client.startTask('wait_for_file', { path: gate.path });
    await first.wait({ status: 'working' });
    const second = client.startTask('add', { a: 1 });
    await second.created();
    expect(second.mode).toBe('task');
    expect(await second.status()).toMatchObject({ status: 'submitted', ahead: 0 });
    const statuses: string[] = [];
    const all = (async () => {
      for await (const { status } of second) statuses.push(status);
    })();
    gate.open();
    expect((await first).data).toBe('the file exists');
    expect((await second).data).toEqual({ sum: 2 });
    await all;
    expect(statuses[0]).toBe('submitted');
    expect(statuses.at(-1)).toBe('completed');
    expect(await second.status()).toMatchObject({ status: 'completed', thread: expect.any(Number) });
  });

  test('hears the progress of a task, up to the last', async () => {
    const client = await connect();
    const heard: unknown[] = [];
    const task = client.startTask('report_once', {}, { onProgress: (progress) => heard.push(progress) });
    expect((await task).data).toBe('done');
    expect(heard).toEqual([{ progress: 1, total: 1 }]);
  });

  test('cancels a computation that never looks at its signal', async () => {
    const client = await connect();
    const started = join(await emptyFolder(), 'started');
    const task = client.startTask('spin', { started });
    await task.wait({ status: 'working' });
    expect(await task.cancel()).toMatchObject({ status: 'cancelled' });
    await expect(task).rejects.toThrow(TaskCancelledError);
    expect((await client.callTool('add', { a: 1 })).data).toEqual({ sum: 2 });
  });

  test('tells the failures of a tool from those of a task', async () => {
    const client = await connect();
    const failed = await client.startTask('throw_error', { message: 'no luck' });
    expect(failed).toMatchObject({ isError: true, meta: { state: 'failed' } });
    expect(failed.text).toContain('no luck');
    expect(await client.startTask('add', { a: 'two' })).toMatchObject({ isError: true });
    await expect(client.startTask('time_out')).rejects.toMatchObject({ name: 'TaskError', code: -32001 });
    await expect(client.callTool('no_such_tool')).rejects.toMatchObject({ code: -32602 });
  });

  test('calls a tool in the way that it can be called', async () => {
    const client = await connect();
    expect((await client.callTool('only_as_task')).data).toBe('ran');
    const task = client.startTask('never_as_task');
    expect((await task).data).toBe('ran');
    expect(task.mode).toBe('call');
  });

  test('takes up a task again by its id', async () => {
    const client = await connect();
    const taskId = await client.startTask('echo', { text: 'again' }, { ttl: 5000 }).created();
    const task = client.task(taskId!);
    expect((await task).data).toBe('again');
    expect(await task.status()).toMatchObject({ taskId, status: 'completed', ttl: 5000 });
    expect((await client.listTasks()).map(({ taskId }) => taskId)).toEqual([taskId]);
  });
});
