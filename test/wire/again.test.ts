import { InMemoryTransport } from '@modelcontextprotocol/sdk/inMemory.js';
import { createServer } from 'mcp-taskpool';
import { TaskClient, type ConnectOptions } from 'mcp-taskpool/client';
import { describe, expect, it, onTestFinished } from 'vitest';
import { folderWith, toolSource } from '../folder.ts';
import { Peer } from './peer.ts';

const tools = {
  'third_time.js': toolSource(`retry: { attempts: 3, backoff: 10 }, run: (_, { attempt }) => {
    if (attempt < 3) throw new Error('not yet, at ' + attempt);
    return 'at ' + attempt;
  }`),
  'never.js': toolSource(
    "retry: { attempts: 2, backoff: 1 }, run: (_, { attempt }) => { throw new Error('no, at ' + attempt); }",
  ),
  'for_good.js': toolSource(`retry: { attempts: 5, backoff: 1, on: ({ message }) => message !== 'for good' },
    run: (_, { attempt }) => { throw new Error(attempt === 1 ? 'for now' : 'for good'); }`),
  'says_no.js': toolSource(`retry: { attempts: 5, backoff: 1 }, run: (_, { attempt }) => (
    { content: [{ type: 'text', text: 'no, at ' + attempt }], isError: true }
  )`),
  'slow_at_first.js':
    toolSource(`timeoutMs: 200, retry: { attempts: 2, backoff: 1 }, run: (_, { attempt }) => {
    while (attempt === 1);
    return 'at ' + attempt;
  }`),
  'goes_on.js':
    toolSource(`retry: { attempts: 3, backoff: 1 }, run: (_, { attempt, checkpoint, checkpointed }) => {
    const steps = [...(checkpointed?.steps ?? []), attempt];
    checkpoint({ steps });
    if (attempt < 3) throw new Error('not yet');
    return { steps };
  }`),
  'reports.js': toolSource(`retry: { attempts: 2, backoff: 1 }, run: async (_, { attempt, progress }) => {
    for (const done of attempt === 1 ? [1, 2, 3] : [1, 3, 4]) {
      progress(done);
      await new Promise((resolve) => setTimeout(resolve, 60));
    }
    if (attempt === 1) throw new Error('not yet');
    return 'reported';
  }`),
  'asks_first.js': toolSource(`retry: { attempts: 2, backoff: 1 }, run: async (_, { attempt, input }) => {
    const form = { type: 'object', properties: { name: { type: 'string' } } };
    const { content } = await input({ message: 'Who?', requestedSchema: form });
    if (attempt === 1) throw new Error('lost it');
    const again = await input({ message: 'Who else?', requestedSchema: form });
    return content.name + ' and ' + again.content.name;
  }`),
  'waits_long.js': toolSource(
    "retry: { attempts: 2, backoff: 3600000 }, run: () => { throw new Error('later'); }",
  ),
  'crashes_once.js': toolSource(`idempotent: true, run: (_, { attempt, checkpoint, checkpointed }) => {
    if (checkpointed === 'here') return 'went on at ' + attempt;
    checkpoint('here');
    setTimeout(() => process.kill(process.pid, 'SIGKILL'), 200);
    return new Promise(() => {});
  }`),
  'crashes.js': toolSource(
    "idempotent: true, run: () => new Promise(() => { setTimeout(() => process.kill(process.pid, 'SIGKILL'), 50); })",
  ),
  'crashes_for_once.js': toolSource(
    "run: () => new Promise(() => { setTimeout(() => process.kill(process.pid, 'SIGKILL'), 50); })",
  ),
};

async function serve(isolation: 'thread' | 'process', options: ConnectOptions = {}): Promise<TaskClient> {
  const server = await createServer({ tools: await folderWith(tools), threads: 1, isolation });
  onTestFinished(() => server.close({ drainMs: 0 }));
  const [near, far] = InMemoryTransport.createLinkedPair();
  await server.connect(far);
  const client = await TaskClient.connect(near, options);
  onTestFinished(() => client.close());
  return client;
}

describe.each(['thread', 'process'] as const)('In a %s, a tool that may be tried again', (isolation) => {
  it('is run until it does not throw, and the status says which attempt it is, and why', async () => {
    const client = await serve(isolation);
    const task = client.startTask('third_time', {});
    expect(await task).toMatchObject({ content: [{ text: 'at 3' }] });
    expect(await task.wait()).toMatchObject({
      status: 'completed',
      statusMessage: 'attempt 3 of 3, after: not yet, at 2',
    });
  });

  it('fails as it failed last when all attempts are used up', async () => {
    const client = await serve(isolation);
    const task = client.startTask('never', {});
    expect(await task.wait()).toMatchObject({ status: 'failed', statusMessage: 'no, at 2' });
    expect(await task).toMatchObject({ isError: true, content: [{ text: 'no, at 2' }] });
  });

  it('is not tried again after what its `on` rules out', async () => {
    const client = await serve(isolation);
    expect(await client.startTask('for_good', {})).toMatchObject({ content: [{ text: 'for good' }] });
  });

  it('is not tried again for a result that reports an error', async () => {
    const client = await serve(isolation);
    expect(await client.startTask('says_no', {})).toMatchObject({ content: [{ text: 'no, at 1' }] });
  });

  it('is tried again after it ran out of time, when that run has ended', async () => {
    const client = await serve(isolation);
    expect(await client.startTask('slow_at_first', {})).toMatchObject({ content: [{ text: 'at 2' }] });
  });

  it('is given what the attempt before has kept', async () => {
    const client = await serve(isolation);
    const { structuredContent } = await client.startTask('goes_on', {});
    expect(structuredContent).toEqual({ steps: [1, 2, 3] });
  });

  it('never falls back in its progress', async () => {
    const client = await serve(isolation);
    const heard: number[] = [];
    const task = client.startTask('reports', {});
    task.onProgress(({ progress }) => heard.push(progress));
    expect(await task).toMatchObject({ content: [{ text: 'reported' }] });
    expect(heard).toEqual([1, 2, 3, 4]);
  });

  it('is tried again in a plain call, too', async () => {
    const client = await serve(isolation);
    expect(await client.callTool('third_time', {})).toMatchObject({ content: [{ text: 'at 3' }] });
  });

  it('asks the user nothing that was answered before', async () => {
    const asked: string[] = [];
    const client = await serve(isolation, {
      onElicit: ({ message }) => {
        asked.push(message);
        return { action: 'accept', content: { name: message === 'Who?' ? 'Ada' : 'Bob' } };
      },
    });
    expect(await client.startTask('asks_first', {})).toMatchObject({ content: [{ text: 'Ada and Bob' }] });
    expect(asked).toEqual(['Who?', 'Who else?']);
  });

  it('waits before the next attempt, and is cancelled while it does', async () => {
    const server = await createServer({ tools: await folderWith(tools), threads: 1, isolation });
    onTestFinished(() => server.close({ drainMs: 0 }));
    const peer = await Peer.connect(server);
    const { taskId } = await peer.start('waits_long');
    const said = 'queued; attempt 2 of 2, after: later';
    await peer.arrival(({ params }) => params?.taskId === taskId && params.statusMessage === said);
    expect(await peer.get(taskId)).toMatchObject({ status: 'working', statusMessage: said });
    expect(await peer.cancel(taskId)).toMatchObject({ status: 'cancelled' });
  });
});

describe("A task whose tools' process ends", () => {
  it('is run again where its tool is idempotent, and goes on where it was', async () => {
    const client = await serve('process');
    const task = client.startTask('crashes_once', {});
    expect(await task).toMatchObject({ content: [{ text: 'went on at 2' }] });
    expect(await task.wait()).toMatchObject({
      statusMessage: expect.stringMatching(/^attempt 2, after: .*SIGKILL/),
    });
  });

  it('is not tried a third time when that was of its doing', async () => {
    const client = await serve('process');
    await expect(client.startTask('crashes', {})).rejects.toThrow(/taken down what it ran in 2 times/);
  });

  it('fails where its tool does not say that it may be run again', async () => {
    const client = await serve('process');
    await expect(client.startTask('crashes_for_once', {})).rejects.toThrow(/SIGKILL/);
  });
});
