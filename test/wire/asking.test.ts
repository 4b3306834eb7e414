import { InMemoryTransport } from '@modelcontextprotocol/sdk/inMemory.js';
import { CallToolResultSchema } from '@modelcontextprotocol/sdk/types.js';
import { createServer } from 'mcp-taskpool';
import { TaskClient, type ConnectOptions } from 'mcp-taskpool/client';
import { describe, expect, it, onTestFinished } from 'vitest';
import { folderWith, toolSource } from '../folder.ts';
import { until } from './fixtures.ts';

const tools = {
  'confirm.js': toolSource(`run: async (_, { input }) => {
    const answer = await input({ message: 'Delete it?', requestedSchema: z.object({ sure: z.boolean(), days: z.int().max(9).optional() }) });
    return answer.action === 'accept' ? { sure: answer.content.sure } : { action: answer.action };
  }`),
  'visit.js': toolSource(
    "run: async (_, { input }) => input({ mode: 'url', message: 'Sign in', url: 'https://example.com/sign-in' })",
  ),
  'poem.js': toolSource(`run: async (_, { sample }) => {
    const { content } = await sample({ messages: [{ role: 'user', content: { type: 'text', text: 'A poem' } }], maxTokens: 9 });
    return content.text;
  }`),
  'short.js': toolSource(`timeoutMs: 1500, run: async (_, { input }) => {
    await input({ message: 'Well?', requestedSchema: { type: 'object', properties: {} } });
    return 'in time';
  }`),
  'wait.js': toolSource('run: (_, { progress }) => { progress(1); return new Promise(() => {}); }'),
  'quick.js': toolSource("run: () => 'quick'"),
};

describe.each(['thread', 'process'] as const)('A tool in a %s that asks', (isolation) => {
  async function serve(options: ConnectOptions = {}) {
    const server = await createServer({ tools: await folderWith(tools), threads: 1, isolation });
    onTestFinished(() => server.close({ drainMs: 0 }));
    const connect = async (options: ConnectOptions) => {
      const [near, far] = InMemoryTransport.createLinkedPair();
      await server.connect(far);
      const client = await TaskClient.connect(near, options);
      onTestFinished(() => client.close());
      return client;
    };
    return { connect, client: await connect(options) };
  }

  /** A user who answers when the test does. */
  function slowUser() {
    const asked: { taskId: unknown; answer: (content: object) => void; signal: AbortSignal }[] = [];
    const onElicit: NonNullable<ConnectOptions['onElicit']> = (params, { signal }) =>
      new Promise((resolve) => {
        const meta = params._meta?.['io.modelcontextprotocol/related-task'];
        const answer = (content: object) =>
          resolve({ action: 'accept', content: content as { sure: boolean } });
        asked.push({ taskId: meta?.taskId, answer, signal });
      });
    return { asked, onElicit };
  }

  it('has the answer of the user, checked, in a plain call', async () => {
    const questions: unknown[] = [];
    const { client } = await serve({
      onElicit: (params) => {
        questions.push(params);
        return { action: 'accept', content: { sure: true } };
      },
    });
    expect((await client.callTool('confirm')).data).toEqual({ sure: true });
    expect(questions).toMatchObject([
      {
        mode: 'form',
        message: 'Delete it?',
        requestedSchema: { type: 'object', properties: { sure: { type: 'boolean' } }, required: ['sure'] },
      },
    ]);
  });

  it('is told that the user declined', async () => {
    const { client } = await serve({ onElicit: () => ({ action: 'decline' }) });
    expect((await client.callTool('confirm')).data).toEqual({ action: 'decline' });
  });

  it('may send the user to a page', async () => {
    const { client } = await serve({
      onElicit: ({ mode }) => ({ action: mode === 'url' ? 'accept' : 'cancel' }),
    });
    expect((await client.callTool('visit')).data).toEqual({ action: 'accept' });
  });

  it("has the answer of the client's model", async () => {
    const { client } = await serve({
      onSample: () => ({ role: 'assistant', model: 'm', content: { type: 'text', text: 'Roses' } }),
    });
    expect((await client.callTool('poem')).data).toBe('Roses');
  });

  it.each([
    ['confirm', /does not support elicitation/],
    ['visit', /does not support elicitation/],
    ['poem', /does not support sampling/],
  ])('fails at once where the client cannot: %s', async (tool, reason) => {
    const { client } = await serve();
    for (const result of [await client.callTool(tool), await client.startTask(tool)]) {
      expect(result).toMatchObject({ isError: true, text: expect.stringMatching(reason) });
    }
  });

  it('fails with the field that the user got wrong', async () => {
    const { client } = await serve({
      onElicit: () => ({ action: 'accept', content: { sure: true, days: 10 } }),
    });
    const { isError, text } = await client.callTool('confirm');
    expect({ isError, text }).toMatchObject({ isError: true, text: expect.stringMatching(/days/) });
  });

  it('requires input as a task, on the stream of tasks/result, and goes on with the answer', async () => {
    const { asked, onElicit } = slowUser();
    const { client } = await serve({ onElicit });
    const task = client.startTask('confirm');
    const result = task.result();
    expect((await task.wait({ status: 'input_required' })).statusMessage).toMatch(/waiting for an answer/);
    await until(() => asked.length > 0);
    expect(asked.map(({ taskId }) => taskId)).toEqual([task.taskId]);
    asked[0]!.answer({ sure: false });
    expect((await result).data).toEqual({ sure: false });
    expect(asked).toHaveLength(1);
  });

  it('is answered though nobody asks for the result', async () => {
    const { client } = await serve({ onElicit: () => ({ action: 'accept', content: { sure: true } }) });
    const task = client.startTask('confirm');
    expect((await task.wait()).status).toBe('completed');
  });

  it('is asked again for when the request for the result was dropped', async () => {
    const { asked, onElicit } = slowUser();
    const { client } = await serve({ onElicit });
    const taskId = (await client.startTask('confirm').created())!;
    const stop = new AbortController();
    const first = client.sdk.request({ method: 'tasks/result', params: { taskId } }, CallToolResultSchema, {
      signal: stop.signal,
    });
    await until(() => asked.length === 1);
    stop.abort();
    await expect(first).rejects.toThrow();
    const second = client.task(taskId).result();
    await until(() => asked.some(({ signal }) => !signal.aborted && asked.length > 1));
    asked.at(-1)!.answer({ sure: true });
    expect((await second).data).toEqual({ sure: true });
  });

  it('lends its thread while it waits, and no longer', async () => {
    const { asked, onElicit } = slowUser();
    const { client } = await serve({ onElicit });
    const task = client.startTask('confirm');
    const result = task.result();
    await until(() => asked.length > 0);
    expect((await client.startTask('quick')).data).toBe('quick');
    asked[0]!.answer({ sure: true });
    await result;
    const [first, second] = [client.startTask('wait'), client.startTask('wait')];
    await first.wait({ status: 'working' });
    expect((await second.status()).status).toBe('submitted');
  });

  it('does not spend its time on waiting', async () => {
    const { asked, onElicit } = slowUser();
    const { client } = await serve({ onElicit });
    const result = client.startTask('short').result();
    await until(() => asked.length > 0);
    const overdue = performance.now() + 1700;
    await until(() => performance.now() > overdue);
    asked[0]!.answer({});
    expect((await result).data).toBe('in time');
  });

  it.each(['task', 'call'] as const)(
    'takes back no question of a %s that has been answered',
    async (mode) => {
      const server = await createServer({ tools: await folderWith(tools), threads: 1, isolation });
      onTestFinished(() => server.close({ drainMs: 0 }));
      const [near, far] = InMemoryTransport.createLinkedPair();
      const sent: unknown[] = [];
      const send = far.send.bind(far);
      far.send = (message, options) => {
        sent.push(message);
        return send(message, options);
      };
      await server.connect(far);
      const client = await TaskClient.connect(near, {
        onElicit: () => ({ action: 'accept', content: { sure: true } }),
      });
      onTestFinished(() => client.close());
      const result = mode === 'task' ? client.startTask('confirm').result() : client.callTool('confirm');
      expect((await result).data).toEqual({ sure: true });
      await client.ping();
      expect(sent).toContainEqual(expect.objectContaining({ method: 'elicitation/create' }));
      expect(sent).not.toContainEqual(expect.objectContaining({ method: 'notifications/cancelled' }));
    },
  );

  it('withdraws the question when it is cancelled', async () => {
    const { asked, onElicit } = slowUser();
    const { client } = await serve({ onElicit });
    const task = client.startTask('confirm');
    const result = task.result();
    await until(() => asked.length > 0);
    await task.cancel();
    await expect(result).rejects.toThrow(/cancelled/);
    await until(() => asked[0]!.signal.aborted);
    expect((await client.startTask('quick')).data).toBe('quick');
  });
});
