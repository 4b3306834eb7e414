import { createServer } from 'mcp-taskpool';
import { describe, expect, it, onTestFinished } from 'vitest';
import { folderWith, toolSource } from '../folder.ts';
import { newGate, serveFixturesOnce, until } from './fixtures.ts';
import { modernPeer, type Answer, type RequestOptions } from './modern-peer.ts';
import type { Json } from './peer.ts';

/** Longer than a test may take. */
const LONG = 50;

const asking = {
  'confirm.js': toolSource(`run: async (_, { input }) => {
    const requestedSchema = z.object({ sure: z.boolean() });
    const [first, second] = await Promise.all([
      input({ message: 'Delete it?', requestedSchema }),
      input({ message: 'Really?', requestedSchema }),
    ]);
    return { sure: first.content.sure && second.content.sure };
  }`),
};

describe.each(['HTTP', 'a channel'] as const)('The task tools in 2026-07-28 over %s', (kind) => {
  async function serve(capabilities: Json, tools?: Record<string, string>) {
    const server =
      tools === undefined
        ? await serveFixturesOnce({ taskTools: true })
        : await createServer({ tools: await folderWith(tools), threads: 1, taskTools: true });
    if (tools !== undefined) onTestFinished(() => server.close({ drainMs: 0 }));
    const peer = await modernPeer(kind, server);
    const call = (name: string, args: Json = {}, more: Json = {}, options: RequestOptions = {}) =>
      peer.request('tools/call', { name, arguments: args, ...more }, { capabilities, ...options });
    const start = async (tool: string, args: Json = {}): Promise<string> => {
      const { result } = await call('start_task', { tool, arguments: args });
      return result!['structuredContent'].taskId as string;
    };
    return { server, peer, call, start };
  }

  const asked = ({ result }: Answer): Json => {
    expect(result).toMatchObject({ resultType: 'input_required' });
    return result!['inputRequests'] as Json;
  };

  it('are listed after the tools of the folder', async () => {
    const { peer } = await serve({});
    const { result } = await peer.request('tools/list', {}, { capabilities: {} });
    const names = (result!['tools'] as Json[]).map(({ name }) => name as string);
    expect(names.slice(-4)).toEqual(['start_task', 'check_task', 'cancel_task', 'list_tasks']);
    expect(names).toContain('add');
  });

  it('run a tool in calls that each end in time, and tell of its progress meanwhile', async () => {
    const { call, start } = await serve({});
    const gate = await newGate();
    const taskId = await start('wait_for_file', { path: gate.path });
    expect((await call('check_task', { taskId, waitSeconds: 0.05 })).result).toMatchObject({
      resultType: 'complete',
      structuredContent: { taskId, status: expect.stringMatching(/queued|running/) },
    });
    const checked = call('check_task', { taskId, waitSeconds: LONG });
    gate.open();
    expect((await checked).result).toMatchObject({
      resultType: 'complete',
      content: [{ type: 'text', text: 'the file exists' }],
      structuredContent: { status: 'completed', result: 'the file exists' },
    });
    const { result } = await call('list_tasks');
    expect(result!['structuredContent'].tasks).toMatchObject([{ taskId, status: 'completed' }]);
    const { notifications } = await call(
      'check_task',
      { taskId: await start('flood_progress', { times: 1000 }), waitSeconds: LONG },
      {},
      { meta: { progressToken: 'mine' } },
    );
    expect(notifications.at(-1)).toMatchObject({ params: { progress: 1000, total: 1000 } });
  });

  it('reach a tool that runs as a task only, for a client without the extension', async () => {
    const { call, start } = await serve({});
    expect((await call('only_as_task')).error).toMatchObject({ code: -32021 });
    const taskId = await start('only_as_task');
    expect((await call('check_task', { taskId, waitSeconds: LONG })).result).toMatchObject({
      content: [{ text: 'ran' }],
    });
  });

  it('say what is wrong as a result', async () => {
    const { call } = await serve({});
    expect((await call('check_task', { taskId: 'none' })).result).toMatchObject({
      isError: true,
      content: [{ text: 'Task not found: it does not exist, or has expired' }],
    });
  });

  it('end the waiting with the request, and let the task go on', async () => {
    const { call, start, server } = await serve({});
    const gate = await newGate();
    const taskId = await start('wait_for_file', { path: gate.path });
    await until(() => server.load.running === 1);
    const stop = new AbortController();
    const options = { signal: stop.signal, meta: { progressToken: 'over' } };
    const dropped = call('check_task', { taskId, waitSeconds: LONG }, {}, options);
    const failed = dropped.catch((error: unknown) => error);
    await call('list_tasks');
    stop.abort();
    await failed;
    gate.open();
    expect((await call('check_task', { taskId, waitSeconds: LONG })).result).toMatchObject({
      content: [{ text: 'the file exists' }],
    });
  });

  it('have what a task asks for an answer, and go on when they are called again with the answers', async () => {
    const { call, start } = await serve({ elicitation: {} }, asking);
    const taskId = await start('confirm');
    const args = { taskId, waitSeconds: LONG };
    const first = await call('check_task', args);
    const questions = asked(first);
    const [key] = Object.keys(questions);
    expect(questions[key!]).toMatchObject({
      method: 'elicitation/create',
      params: { message: 'Delete it?' },
    });
    // Who asks again is asked again.
    expect(asked(await call('check_task', args))).toHaveProperty(key!);
    const answer = { action: 'accept', content: { sure: true } };
    const answerTo = ({ result }: Answer, keys: string[]) =>
      call('check_task', args, {
        requestState: result!['requestState'],
        inputResponses: Object.fromEntries(keys.map((key) => [key, answer])),
      });
    const second = await answerTo(first, [key!]);
    const left = asked(second);
    expect(left).not.toHaveProperty(key!);
    const checked = await answerTo(second, Object.keys(left));
    expect(checked.result).toMatchObject({
      structuredContent: { status: 'completed', result: { sure: true } },
    });
  });

  it('fail a task at once that asks a client which cannot be asked', async () => {
    const { call, start } = await serve({}, asking);
    const taskId = await start('confirm');
    expect((await call('check_task', { taskId, waitSeconds: LONG })).result).toMatchObject({
      isError: true,
      structuredContent: { status: 'failed', message: expect.stringMatching(/does not support elicitation/) },
    });
  });

  it('say as a result that a task has expired before its question was answered', async () => {
    const { call, server } = await serve({ elicitation: {} }, asking);
    const started = await call('start_task', { tool: 'confirm', ttlSeconds: 3 });
    const args = { taskId: started.result!['structuredContent'].taskId as string, waitSeconds: LONG };
    const first = await call('check_task', args);
    const [key] = Object.keys(asked(first));
    await until(() => server.load.running === 0);
    const { result, error } = await call('check_task', args, {
      requestState: first.result!['requestState'],
      inputResponses: { [key!]: { action: 'accept', content: { sure: true } } },
    });
    expect(error).toBeUndefined();
    expect(result).toMatchObject({ isError: true, content: [{ text: expect.stringMatching(/not found/) }] });
  });
});
