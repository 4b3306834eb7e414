import { getEventListeners } from 'node:events';
import {
  ConnectionClosedError,
  InvalidAnswerError,
  RequestTimeoutError,
  TaskCancelledError,
  TaskError,
} from 'mcp-taskpool/client';
import { describe, expect, test } from 'vitest';
import { connectModern } from './modern-channels.ts';
import { Refusal, created, detailed, discovered, form, said, sampling } from './modern-server.ts';
import { NEVER, deferred, meta, tool, type Json } from './scripted-server.ts';

describe('a call', () => {
  test('that is answered with its result is a plain one, once that is known', async () => {
    const { client } = await connectModern({ 'tools/call': () => said('hello') });
    const handle = client.startTask('greet', { name: 'Ada' });
    expect(handle.mode).toBeUndefined();
    expect(await handle.created()).toBeUndefined();
    expect(handle.mode).toBe('call');
    expect((await handle).text).toBe('hello');
    expect(await handle.status()).toMatchObject({ taskId: undefined, status: 'completed' });
  });

  test('is a plain one from the start where the server has no tasks', async () => {
    const { client, server } = await connectModern({
      'server/discover': () => discovered({ capabilities: { tools: {} } }),
      'tools/call': () => NEVER,
    });
    const handle = client.startTask('greet');
    expect(await handle.created()).toBeUndefined();
    expect(handle.mode).toBe('call');
    expect(await handle.status()).toMatchObject({ status: 'working' });
    await server.nth('tools/call');
  });

  test('that becomes a task is followed to its result, and nobody need know', async () => {
    const { client, server } = await connectModern({
      'tools/call': () => created('t1'),
      'tasks/get': () => detailed('t1', 'completed', { result: said('done') }, 1),
    });
    expect((await client.callTool('work', { n: 1 })).text).toBe('done');
    expect(server.all('tools/call')[0]!.params).toMatchObject({ name: 'work', arguments: { n: 1 } });
  });

  test('that becomes a task gives a handle, with the id and what the server says of it', async () => {
    const gate = deferred<Json>();
    const { client } = await connectModern({
      'tools/call': () => created('t1', meta('queued', { ahead: 3 })),
      'tasks/get': () => gate.promise,
    });
    const handle = client.startTask('work');
    expect(await handle.created()).toBe('t1');
    expect(handle.mode).toBe('task');
    const first = handle[Symbol.asyncIterator]();
    gate.resolve(detailed('t1', 'working', { ...meta('queued', { ahead: 2 }), statusMessage: 'soon' }, 1));
    expect((await first.next()).value).toMatchObject({
      taskId: 't1',
      status: 'submitted',
      ahead: 2,
      statusMessage: 'soon',
      ttl: 60_000,
      pollInterval: 5,
    });
    await first.return?.();
  });

  test('carries the idempotency key, and no lifetime, which is for the server to say', async () => {
    const { client, server } = await connectModern({ 'tools/call': () => said('') });
    await client.startTask('work', {}, { idempotencyKey: 'k', ttl: 5 });
    const { params } = server.all('tools/call')[0]!;
    expect(params['_meta']['mcp-taskpool/idempotencyKey']).toBe('k');
    expect(params['task']).toBeUndefined();
  });

  test('gives structured content of any kind', async () => {
    const { client, server } = await connectModern({
      'tools/call': () => said('[1,2]', { structuredContent: [1, 2] }),
    });
    expect((await client.callTool('list')).data).toEqual([1, 2]);
    server.answers['tools/call'] = () => said('null', { structuredContent: null });
    expect((await client.callTool('nothing')).data).toBeNull();
  });

  test("that is refused rejects with the server's error", async () => {
    const { client } = await connectModern({
      'tools/call'() {
        throw new Refusal(-32602, 'Unknown tool: x', { hint: 1 });
      },
    });
    const error = { name: 'TaskError', code: -32602, message: 'Unknown tool: x', data: { hint: 1 } };
    await expect(client.callTool('x')).rejects.toMatchObject(error);
  });

  test.each([
    ['an unknown type', { resultType: 'strange' }, /unknown resultType: "strange"/],
    ['a task without an id', { ...created('t1'), taskId: undefined }, /tools\/call.*malformed/s],
    ['no content', { resultType: 'complete', content: 7 }, /tools\/call.*malformed/s],
    ['a request for input without any', { resultType: 'input_required' }, /inputRequests or requestState/],
  ])('that is answered with %s rejects, and says so', async (_, answer, message) => {
    const { client } = await connectModern({ 'tools/call': () => answer });
    const call = client.callTool('x');
    await expect(call).rejects.toThrow(InvalidAnswerError);
    await expect(call).rejects.toThrow(message);
  });

  test('hears its progress, and nobody else’s', async () => {
    const { client } = await connectModern({
      'tools/call': ({ _meta: { progressToken } }, { notify }) => {
        notify('notifications/progress', { progressToken, progress: 1, total: 2, message: 'half' });
        notify('notifications/progress', { progressToken: 'other', progress: 9 });
        notify('notifications/progress', { progressToken, progress: 2 });
        return said('done');
      },
    });
    const heard: unknown[] = [];
    await client.callTool('work', {}, { onProgress: (progress) => heard.push(progress) });
    expect(heard).toEqual([{ progress: 1, total: 2, message: 'half' }, { progress: 2 }]);
  });

  test('is taken back when its signal aborts', async () => {
    const { client, server } = await connectModern({ 'tools/call': () => NEVER });
    const stop = new AbortController();
    const call = client.callTool('work', {}, { signal: stop.signal });
    const exchange = await server.nth('tools/call');
    stop.abort(new Error('enough'));
    await expect(call).rejects.toThrow('enough');
    expect(exchange.signal.aborted).toBe(true);
    expect(server.notified).toMatchObject([{ params: { requestId: exchange.id, reason: 'enough' } }]);
    expect(getEventListeners(stop.signal, 'abort')).toEqual([]);
  });

  test('is taken back when its time is over', async () => {
    const { client, server } = await connectModern({ 'tools/call': () => NEVER });
    const call = client.callTool('work', {}, { timeoutMs: 20 });
    await expect(call).rejects.toThrow(RequestTimeoutError);
    expect(server.all('tools/call')[0]!.signal.aborted).toBe(true);
  });

  test('that is cancelled before its answer is taken back, and ends cancelled', async () => {
    const { client, server } = await connectModern({ 'tools/call': () => NEVER });
    const handle = client.startTask('work');
    await server.nth('tools/call');
    expect(await handle.cancel()).toMatchObject({ status: 'cancelled' });
    await expect(handle).rejects.toThrow(TaskCancelledError);
    expect(server.all('tools/call')[0]!.signal.aborted).toBe(true);
  });

  test('that was taken back while it became a task leaves no task behind', async () => {
    const answer = deferred<Json>();
    const { client, server } = await connectModern({
      'tools/call': () => answer.promise,
      'tasks/cancel': () => ({ resultType: 'complete' }),
    });
    const handle = client.startTask('work');
    await server.nth('tools/call');
    await handle.cancel();
    answer.resolve(created('t1'));
    expect((await server.nth('tasks/cancel')).params).toMatchObject({ taskId: 't1' });
  });

  test('rejects when the client closes, and is taken back', async () => {
    const { client, server } = await connectModern({ 'tools/call': () => NEVER });
    const call = client.callTool('work');
    const { signal } = await server.nth('tools/call');
    await client.close();
    await expect(call).rejects.toThrow(new ConnectionClosedError('The client is closed'));
    expect(signal.aborted).toBe(true);
    await expect(client.ping()).rejects.toThrow('The client is closed');
  });
});

describe('a call that asks first', () => {
  test('is made again with the answers and the state, by another id each time', async () => {
    const asked: unknown[] = [];
    const { client, server } = await connectModern(
      {
        'tools/call': ({ inputResponses, requestState }) => {
          if (requestState === undefined) {
            const inputRequests = { name: form('Your name?') };
            return { resultType: 'input_required', inputRequests, requestState: 'state 1' };
          }
          if (requestState === 'state 1') {
            const inputRequests = { colour: form('Which colour?'), model: sampling('A word?') };
            return { resultType: 'input_required', inputRequests, requestState: 'state 2' };
          }
          return said(JSON.stringify(inputResponses));
        },
      },
      {
        onElicit: ({ message }, { taskId }) => {
          asked.push([message, taskId]);
          return { action: 'accept', content: { answer: message.length } };
        },
        onSample: () => ({ role: 'assistant', model: 'm', content: { type: 'text', text: 'word' } }),
      },
    );
    const { text } = await client.callTool('ask', { a: 1 });
    expect(JSON.parse(text)).toMatchObject({
      colour: { action: 'accept', content: { answer: 13 } },
      model: { role: 'assistant', content: { text: 'word' } },
    });
    expect(asked).toEqual([
      ['Your name?', undefined],
      ['Which colour?', undefined],
    ]);
    const calls = server.all('tools/call');
    expect(calls.map(({ params }) => params['requestState'] as unknown)).toEqual([
      undefined,
      'state 1',
      'state 2',
    ]);
    expect(calls.every(({ params }) => params['name'] === 'ask' && params['arguments'].a === 1)).toBe(true);
    expect(new Set(calls.map(({ id }) => id)).size).toBe(3);
  });

  test('may become a task then', async () => {
    const { client } = await connectModern(
      {
        'tools/call': ({ inputResponses }) =>
          inputResponses === undefined
            ? { resultType: 'input_required', inputRequests: { q: form('Sure?') } }
            : created('t1'),
        'tasks/get': () => detailed('t1', 'completed', { result: said('done') }, 1),
      },
      { onElicit: () => ({ action: 'accept', content: {} }) },
    );
    const handle = client.startTask('ask');
    expect((await handle).text).toBe('done');
    expect(handle.mode).toBe('task');
  });

  test('is made again with the state alone where nothing is asked', async () => {
    const { client, server } = await connectModern({
      'tools/call': ({ requestState }) =>
        requestState === undefined ? { resultType: 'input_required', requestState: 'later' } : said('done'),
    });
    expect((await client.callTool('busy')).text).toBe('done');
    expect(server.all('tools/call')[1]!.params).not.toHaveProperty('inputResponses');
  });

  test('sends no state where there was none', async () => {
    const { client, server } = await connectModern(
      {
        'tools/call': ({ inputResponses }) =>
          inputResponses === undefined
            ? { resultType: 'input_required', inputRequests: { q: form('Sure?') } }
            : said('done'),
      },
      { onElicit: () => ({ action: 'decline' }) },
    );
    await client.callTool('ask');
    expect(server.all('tools/call')[1]!.params).not.toHaveProperty('requestState');
  });

  test('for ever is given up', async () => {
    const inputRequests = { q: form('Again?') };
    const { client } = await connectModern(
      { 'tools/call': () => ({ resultType: 'input_required', inputRequests }) },
      { onElicit: () => ({ action: 'decline' }) },
    );
    await expect(client.callTool('ask')).rejects.toThrow(/still asks for input after 50 answers/);
  });

  test('what nobody is there to answer rejects, and leaves nothing at the server', async () => {
    const { client, server } = await connectModern({
      'tools/call': () => ({ resultType: 'input_required', inputRequests: { q: sampling('A word?') } }),
    });
    await expect(client.callTool('ask')).rejects.toThrow(/sampling\/createMessage.*not declared/);
    expect(server.all('tools/call')).toHaveLength(1);
  });

  test('rejects with what a handler throws, and takes the other question back', async () => {
    const other = deferred<AbortSignal>();
    const { client } = await connectModern(
      {
        'tools/call': () => ({
          resultType: 'input_required',
          inputRequests: { slow: form('slow'), bad: form('bad') },
        }),
      },
      {
        async onElicit({ message }, { signal }) {
          if (message === 'slow') {
            other.resolve(signal);
            return NEVER;
          }
          throw new Error('no terminal');
        },
      },
    );
    await expect(client.callTool('ask')).rejects.toThrow('no terminal');
    expect((await other.promise).aborted).toBe(true);
  });

  test('rejects when a handler returns what is no answer', async () => {
    const { client } = await connectModern(
      { 'tools/call': () => ({ resultType: 'input_required', inputRequests: { q: form('Sure?') } }) },
      { onElicit: () => ({ action: 'perhaps' }) as never },
    );
    await expect(client.callTool('ask')).rejects.toThrow(/onElicit returned no valid answer/);
  });

  test('can be cancelled while the user thinks', async () => {
    const asked = deferred<AbortSignal>();
    const { client } = await connectModern(
      { 'tools/call': () => ({ resultType: 'input_required', inputRequests: { q: form('Sure?') } }) },
      {
        onElicit: (_, { signal }) => {
          asked.resolve(signal);
          return NEVER;
        },
      },
    );
    const handle = client.startTask('ask');
    const signal = await asked.promise;
    expect(await handle.cancel()).toMatchObject({ status: 'cancelled' });
    expect(signal.aborted).toBe(true);
  });
});

describe('listTools', () => {
  test('asks once while the list is fresh, and again when it is not', async () => {
    let ttlMs = 60_000;
    const { client, server } = await connectModern({
      'tools/list': () => ({ resultType: 'complete', tools: [tool('a')], ttlMs }),
    });
    await client.listTools();
    await client.listTools();
    expect(server.all('tools/list')).toHaveLength(1);
    const { client: another, server: itsServer } = await connectModern({
      'tools/list': () => ({ resultType: 'complete', tools: [tool('a')], ttlMs }),
    });
    ttlMs = 0;
    await another.listTools();
    expect((await another.listTools()).map(({ name }) => name)).toEqual(['a']);
    expect(itsServer.all('tools/list')).toHaveLength(2);
  });

  test('gives the tools of all pages, with output of any kind', async () => {
    const pages: Json = {
      first: { tools: [{ ...tool('a'), outputSchema: { type: 'array' } }], nextCursor: 'p2' },
      p2: { tools: [tool('b')] },
    };
    const { client } = await connectModern({
      'tools/list': ({ cursor = 'first' }) => ({ resultType: 'complete', ...pages[cursor] }),
    });
    expect((await client.listTools()).map(({ name }) => name)).toEqual(['a', 'b']);
  });

  test('rejects with the server’s error', async () => {
    const { client } = await connectModern({
      'tools/list'() {
        throw new Refusal(-32603, 'broken');
      },
    });
    await expect(client.listTools()).rejects.toThrow(TaskError);
  });
});
