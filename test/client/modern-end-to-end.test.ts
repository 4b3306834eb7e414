import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { InMemoryTransport } from '@modelcontextprotocol/sdk/inMemory.js';
import { createServer, serveHttp } from 'mcp-taskpool';
import { TaskCancelledError, TaskClient, type ConnectOptions, type Target } from 'mcp-taskpool/client';
import { describe, expect, onTestFinished, test } from 'vitest';
import { folderWith, toolSource } from '../folder.ts';
import { emptyFolder, newGate } from '../wire/fixtures.ts';

const CLI = fileURLToPath(new URL('../../dist/src/cli/main.js', import.meta.url));
const TOOLS = fileURLToPath(new URL('../../dist/test/fixtures/tools/', import.meta.url));

async function serve(tools: string) {
  const server = await createServer({ tools, threads: 1 });
  onTestFinished(() => server.close({ drainMs: 1 }));
  return server;
}

/** Our server of a folder of tools. */
const TARGETS: Record<string, (tools: string) => Promise<Target>> = {
  async 'in memory'(tools) {
    const server = await serve(tools);
    const [near, far] = InMemoryTransport.createLinkedPair();
    await server.serve(far);
    return near;
  },
  async 'over HTTP'(tools) {
    const http = await serveHttp(await serve(tools));
    onTestFinished(() => http.close({ drainMs: 1 }));
    return { url: http.url };
  },
  'over stdio': async (tools) => ({
    command: process.execPath,
    args: [CLI, 'serve', '--tools', tools, '--threads', '1', '--store', 'memory'],
    stderr: 'ignore',
  }),
};

const SCHEMA = 'z.object({ answer: z.string() })';
const ask = (message: string) => `input({ message: '${message}', requestedSchema: ${SCHEMA} })`;

const ASKING = {
  'first.js': toolSource(`
    prepare: async (_, { input }) => (await ${ask('One?')}).content,
    run: (prepared) => prepared`),
  'midway.js': toolSource(`
    run: async (_, { input, sample }) => {
      const one = await ${ask('One?')};
      const [two, three] = await Promise.all([
        ${ask('Two?')},
        sample({ messages: [{ role: 'user', content: { type: 'text', text: 'Three?' } }], maxTokens: 9 }),
      ]);
      return [one.content.answer, two.content.answer, three.content.text].join(' ');
    }`),
};

describe.each(Object.keys(TARGETS))('on 2026-07-28 with our server %s, a client', (way) => {
  async function connect(tools: string = TOOLS, options: ConnectOptions = {}): Promise<TaskClient> {
    const target = await TARGETS[way]!(tools);
    const client = await TaskClient.connect(target, { protocol: '2026-07-28', ...options });
    onTestFinished(() => client.close());
    return client;
  }

  test('that may choose speaks 2025-11-25, because the server does', async () => {
    const client = await connect(TOOLS, { protocol: 'auto' });
    expect(client.protocol).toBe('2025-11-25');
    expect((await client.callTool('add', { a: 1 })).data).toEqual({ sum: 2 });
  });

  test('calls a tool', async () => {
    const client = await connect();
    const { data, meta } = await client.callTool<{ sum: number }>('add', { a: 2, b: 3 });
    expect(data.sum).toBe(5);
    expect(meta).toMatchObject({ state: 'completed', thread: expect.any(Number) });
    expect((await client.listTools()).map(({ name }) => name)).toContain('add');
    await client.ping();
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
    const changes = second[Symbol.asyncIterator]();
    expect((await changes.next()).value).toMatchObject({ status: 'submitted' });
    gate.open();
    expect((await first).data).toBe('the file exists');
    expect((await second).data).toEqual({ sum: 2 });
    const statuses: string[] = [];
    for await (const { status } of changes) statuses.push(status);
    expect(statuses.at(-1)).toBe('completed');
    expect(await second.status()).toMatchObject({ status: 'completed', thread: expect.any(Number) });
  });

  test('hears the progress of a plain call', async () => {
    const folder = await folderWith({
      'steps.js': toolSource(
        "task: 'forbidden', run: (_, { progress }) => { progress(1, 1); return 'done'; }",
      ),
    });
    const client = await connect(folder);
    const heard: unknown[] = [];
    const call = client.startTask('steps', {}, { onProgress: (progress) => heard.push(progress) });
    expect((await call).data).toBe('done');
    expect(call.mode).toBe('call');
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

  test('stops a plain call by taking it back', async () => {
    const gate = await newGate();
    const folder = await folderWith({
      'endless.js': toolSource(
        `task: 'forbidden', run: () => { writeFileSync(${JSON.stringify(gate.path)}, ''); for (;;); }`,
        "import { writeFileSync } from 'node:fs';",
      ),
      'quick.js': toolSource(''),
    });
    const client = await connect(folder);
    const stop = new AbortController();
    const call = client.callTool('endless', {}, { signal: stop.signal });
    await Promise.race([gate.opened(), call]);
    stop.abort(new Error('enough'));
    await expect(call).rejects.toThrow('enough');
    // The only thread is free again.
    expect((await client.callTool('quick')).data).toBe('done');
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
    const taskId = await client.startTask('echo', { text: 'again' }).created();
    const task = client.task(taskId!);
    expect((await task).data).toBe('again');
    expect(await task.status()).toMatchObject({ taskId, status: 'completed' });
    await expect(client.task('no such').status()).rejects.toMatchObject({ code: -32602, taskId: 'no such' });
  });

  test('makes a call with the same key the same task', async () => {
    const client = await connect();
    const start = () => client.startTask('echo', { text: 'once' }, { idempotencyKey: 'k' });
    const [one, two] = await Promise.all([start().created(), start().created()]);
    expect(one).toBe(two);
  });

  test('answers what a tool asks, before it runs and in the midst of it', async () => {
    const asked: unknown[] = [];
    const client = await connect(await folderWith(ASKING), {
      onElicit: ({ message }, { taskId }) => {
        asked.push([message, taskId !== undefined]);
        return { action: 'accept', content: { answer: message.toLowerCase() } };
      },
      onSample: () => ({ role: 'assistant', model: 'm', content: { type: 'text', text: 'three' } }),
    });
    expect((await client.callTool('first')).data).toEqual({ answer: 'one?' });
    expect((await client.startTask('midway')).data).toBe('one? two? three');
    expect(asked).toEqual([
      ['One?', false],
      ['One?', true],
      ['Two?', true],
    ]);
  });

  test('that cannot answer is told so, and does not wait', async () => {
    const client = await connect(await folderWith(ASKING));
    expect(await client.callTool('midway')).toMatchObject({ isError: true });
    await expect(client.callTool('first')).rejects.toMatchObject({ name: 'TaskError', code: -32021 });
  });
});
