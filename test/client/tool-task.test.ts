import { getEventListeners } from 'node:events';
import {
  ConnectionClosedError,
  TaskCancelledError,
  TaskError,
  TaskWaitTimeoutError,
} from 'mcp-taskpool/client';
import { describe, expect, test } from 'vitest';
import {
  NEVER,
  ScriptedServer,
  WireError,
  deferred,
  meta,
  task,
  text,
  type Json,
} from './scripted-server.ts';

const created = () => ({ task: task('t1', 'working') });
const refuse = (code: number, message: string, data?: unknown) => () => {
  throw new WireError(code, message, data);
};

describe('startTask', () => {
  test('returns at once, before the tool is called', async () => {
    const { client, server } = await ScriptedServer.connect({
      answers: { 'tools/call': created, 'tasks/result': () => text('done') },
    });
    const handle = client.startTask('work', { a: 1 }, { ttl: 5000 });
    expect(handle.taskId).toBeUndefined();
    expect(handle.mode).toBeUndefined();
    expect(server.count('tools/call')).toBe(0);
    expect((await handle).data).toBe('done');
    expect(server.all('tools/call')).toEqual([
      {
        name: 'work',
        arguments: { a: 1 },
        task: { ttl: 5000 },
        _meta: { progressToken: expect.any(String) },
      },
    ]);
  });

  test('knows the id when the server has acknowledged the task', async () => {
    const { client } = await ScriptedServer.connect({ answers: { 'tools/call': created } });
    const handle = client.startTask('work');
    expect(await handle.created()).toBe('t1');
    expect(handle).toMatchObject({ taskId: 't1', mode: 'task' });
  });

  test.for([
    ['the server has no tasks', false, 'optional'],
    ['the server runs other requests as tasks only', { list: {}, requests: {} }, 'optional'],
    ['the tool forbids it', undefined, 'forbidden'],
    ['the tool does not mention it', undefined, undefined],
  ] as const)('makes a plain call where %s, and says so', async ([, tasks, support]) => {
    const { client, server } = await ScriptedServer.connect({
      tools: { work: support },
      ...(tasks !== undefined && { tasks }),
      answers: { 'tools/call': () => text('done') },
    });
    const handle = client.startTask('work', {}, { ttl: 5 });
    expect(await handle.created()).toBeUndefined();
    expect(handle.mode).toBe('call');
    expect(await handle).toMatchObject({ data: 'done' });
    expect(await handle.status()).toMatchObject({ taskId: undefined, status: 'completed' });
    expect(server.all('tools/call')[0]).not.toHaveProperty('task');
  });

  test('makes a plain call when the tool turns out to be no task', async () => {
    const { client, server } = await ScriptedServer.connect({
      answers: {
        'tools/call'({ task: asked }) {
          if (asked === undefined) return text('done');
          server.tools = { work: 'forbidden' };
          throw new WireError(-32601, 'not as a task');
        },
      },
    });
    const handle = client.startTask('work');
    expect((await handle).data).toBe('done');
    expect(handle.mode).toBe('call');
  });

  test('takes a result that the server answers with instead of a task', async () => {
    const { client } = await ScriptedServer.connect({
      answers: { 'tools/call': () => ({ ...text('limit must be >= 2'), isError: true }) },
    });
    const handle = client.startTask('work');
    expect(await handle).toMatchObject({ isError: true, text: 'limit must be >= 2' });
    expect(handle).toMatchObject({ taskId: undefined, mode: 'call' });
    expect(await handle.status()).toMatchObject({ status: 'failed', statusMessage: 'limit must be >= 2' });
  });

  test('leaves the refusal of a call to the handle', async () => {
    const { client } = await ScriptedServer.connect({
      answers: { 'tools/call': refuse(-32000, 'too many tasks', { limit: 9 }) },
    });
    const handle = client.startTask('work');
    await expect(handle).rejects.toMatchObject({
      code: -32000,
      message: 'too many tasks',
      data: { limit: 9 },
    });
    await expect(handle.created()).rejects.toThrow(TaskError);
    expect(await handle.status()).toMatchObject({ status: 'failed', statusMessage: 'too many tasks' });
    expect(await handle.wait()).toMatchObject({ status: 'failed' });
    expect(await handle.cancel()).toMatchObject({ status: 'failed' });
  });

  test('leaves no unhandled rejection when nobody awaits a handle that fails', async () => {
    const unhandled: unknown[] = [];
    const keep = (reason: unknown) => void unhandled.push(reason);
    process.on('unhandledRejection', keep);
    const { client, server } = await ScriptedServer.connect({
      tools: { work: 'optional', plain: undefined },
      answers: {
        'tools/call': ({ name }) => (name === 'plain' ? refuse(-32603, 'broke')() : created()),
        'tasks/result': refuse(-32603, 'broke'),
        'tasks/get': () => task('t1', 'failed'),
      },
    });
    client.startTask('plain');
    void client.startTask('work').result();
    client.startTask('work', {}, { signal: AbortSignal.abort() });
    await server.heardNth('tasks/get');
    await server.close();
    await new Promise(setImmediate);
    process.off('unhandledRejection', keep);
    expect(unhandled).toEqual([]);
  });
});

describe('result', () => {
  test('is asked for with one request, and kept', async () => {
    const { client, server } = await ScriptedServer.connect({
      answers: { 'tools/call': created, 'tasks/result': () => text('done') },
    });
    const handle = client.startTask('work');
    const [first, second] = await Promise.all([handle, handle.result()]);
    expect(second).toBe(first);
    expect(await handle).toBe(first);
    expect(server.count('tasks/result')).toBe(1);
    expect(server.count('tasks/get')).toBe(0);
  });

  test('is not asked for until somebody wants it', async () => {
    const { client, server } = await ScriptedServer.connect({ answers: { 'tools/call': created } });
    await client.startTask('work').created();
    await client.ping();
    expect(server.heard.at(-1)).toMatchObject({ method: 'ping' });
    expect(server.count('tasks/result')).toBe(0);
  });

  test("of a task that failed is the tool's own account of it", async () => {
    const { client } = await ScriptedServer.connect({
      answers: {
        'tools/call': created,
        'tasks/result': () => ({ ...text('no such city'), isError: true, ...meta('failed') }),
      },
    });
    const result = await client.startTask('work');
    expect(result).toMatchObject({ isError: true, text: 'no such city', meta: { state: 'failed' } });
  });

  test.for([-32001, -32603, -32602])(
    'rejects with the JSON-RPC error %i that the task ended with, and does not ask again',
    async (code) => {
      const { client, server } = await ScriptedServer.connect({
        answers: {
          'tools/call': created,
          'tasks/result': refuse(code, 'over', { after: 5 }),
          'tasks/get': () => task('t1', 'failed'),
        },
      });
      const handle = client.startTask('work');
      const error = { name: 'TaskError', code, message: 'over', data: { after: 5 }, taskId: 't1' };
      await expect(handle).rejects.toMatchObject(error);
      await expect(handle.result()).rejects.toMatchObject(error);
      expect(server.count('tasks/result')).toBe(1);
      expect(await handle.status()).toMatchObject({ status: 'failed' });
    },
  );

  test('rejects when the server does not know the task', async () => {
    const { client } = await ScriptedServer.connect({
      answers: {
        'tasks/result': refuse(-32602, 'Task not found'),
        'tasks/get': refuse(-32602, 'Task not found'),
      },
    });
    await expect(client.task('t9')).rejects.toMatchObject({
      code: -32602,
      message: 'Task not found',
      taskId: 't9',
    });
  });

  test('rejects as cancelled when the task was cancelled, whatever error the server has for that', async () => {
    const { client } = await ScriptedServer.connect({
      answers: {
        'tasks/result': refuse(-32603, 'Task t1 has no result stored'),
        'tasks/get': () => task('t1', 'cancelled', { statusMessage: 'by the administrator' }),
      },
    });
    await expect(client.task('t1')).rejects.toMatchObject({
      name: 'TaskCancelledError',
      taskId: 't1',
      message: 'by the administrator',
    });
  });

  test('rejects as cancelled when the server has deleted the cancelled task', async () => {
    const { client } = await ScriptedServer.connect({
      answers: { 'tasks/result': refuse(-32800, 'cancelled'), 'tasks/get': refuse(-32602, 'Task not found') },
    });
    await expect(client.task('t1')).rejects.toThrow(TaskCancelledError);
  });

  test('is asked for again when the request got lost while the task goes on', async () => {
    let asked = 0;
    const { client, server } = await ScriptedServer.connect({
      answers: {
        'tools/call': created,
        // As from an overloaded gateway.
        'tasks/result': () => (++asked === 1 ? refuse(-32001, 'upstream timed out')() : text('done')),
        'tasks/get': () => task('t1', 'working', { pollInterval: 60_000 }),
      },
    });
    const handle = client.startTask('work');
    const result = handle.result();
    // One says that it is the request's error, the other begins the polling.
    await server.heardNth('tasks/get', 2);
    expect(server.count('tasks/result')).toBe(1);
    server.tell(task('t1', 'completed', {}, 5));
    expect((await result).data).toBe('done');
  });

  test('is asked for again each time its request has been open for its time', async () => {
    let asked = 0;
    const { client, server } = await ScriptedServer.connect(
      {
        answers: { 'tools/call': created, 'tasks/result': () => (++asked < 3 ? NEVER : text('done')) },
      },
      { resultTimeoutMs: 20 },
    );
    expect((await client.startTask('work')).data).toBe('done');
    expect(server.count('tasks/get')).toBe(0);
    expect(server.count('notifications/cancelled')).toBe(2);
  });

  test('is asked for again when the network loses the request', async () => {
    let lost = 0;
    const { client } = await ScriptedServer.connect({
      loses: (method) => method === 'tasks/result' && ++lost === 1,
      answers: {
        'tools/call': created,
        'tasks/get': () => task('t1', 'completed'),
        'tasks/result': () => text('done'),
      },
    });
    expect((await client.startTask('work')).data).toBe('done');
    expect(lost).toBe(2);
  });

  test('is asked for as soon as the server wants input', async () => {
    const { client, server } = await ScriptedServer.connect({
      answers: {
        'tools/call': created,
        'tasks/get': () => task('t1', 'working'),
        'tasks/result': () => NEVER,
      },
    });
    const handle = client.startTask('work');
    handle.onStatusChange(() => {});
    await server.heardNth('tasks/get');
    server.tell(task('t1', 'input_required', {}, 5));
    await server.heardNth('tasks/result');
    expect(server.count('tasks/result')).toBe(1);
  });
});

describe('status', () => {
  test('is submitted until the server has acknowledged the task, and while it is queued', async () => {
    const acknowledged = deferred<Json>();
    let state = task('t1', 'working', meta('queued', { ahead: 3 }));
    const { client, server } = await ScriptedServer.connect({
      answers: { 'tools/call': () => acknowledged.promise, 'tasks/get': () => state },
    });
    const handle = client.startTask('work', {}, { ttl: 5000 });
    expect(await handle.status()).toMatchObject({ taskId: undefined, status: 'submitted', ttl: 5000 });
    await server.heardNth('tools/call');
    expect(await handle.status()).toMatchObject({ status: 'submitted' });
    acknowledged.resolve({ task: task('t1', 'working'), ...meta('queued', { ahead: 4 }) });
    await handle.created();
    expect(await handle.status()).toMatchObject({ taskId: 't1', status: 'submitted', ahead: 3, ttl: 60_000 });
    state = task('t1', 'working', { ...meta('running', { thread: 2 }), pollInterval: 50 }, 5);
    expect(await handle.status()).toMatchObject({ status: 'working', thread: 2, pollInterval: 50 });
  });

  test('never goes back from the end, and is not asked for after it', async () => {
    const { client, server } = await ScriptedServer.connect({
      answers: { 'tools/call': created, 'tasks/get': () => task('t1', 'completed', {}, 9) },
    });
    const handle = client.startTask('work');
    await handle.created();
    expect(await handle.status()).toMatchObject({ status: 'completed' });
    server.answers['tasks/get'] = () => task('t1', 'working', {}, 10);
    expect(await handle.status()).toMatchObject({ status: 'completed' });
    expect(server.count('tasks/get')).toBe(1);
  });

  test('of a plain call is working until its result', async () => {
    const { client, server } = await ScriptedServer.connect({
      tools: { plain: undefined },
      answers: { 'tools/call': () => NEVER },
    });
    const handle = client.startTask('plain');
    await server.heardNth('tools/call');
    expect(await handle.status()).toMatchObject({ taskId: undefined, status: 'working' });
  });
});

describe('wait', () => {
  test('resolves with the wished status', async () => {
    const { client, server } = await ScriptedServer.connect({
      answers: {
        'tools/call': () => ({ ...created(), ...meta('queued') }),
        'tasks/get': () => task('t1', 'working', meta('queued')),
      },
    });
    const waiting = client.startTask('work').wait({ status: 'working' });
    await server.heardNth('tasks/get');
    server.tell(task('t1', 'working', meta('running'), 5));
    expect(await waiting).toMatchObject({ taskId: 't1', status: 'working' });
  });

  test('resolves with the end when that comes instead', async () => {
    const { client } = await ScriptedServer.connect({ answers: { 'tasks/get': () => task('t1', 'failed') } });
    expect(await client.task('t1').wait({ status: 'input_required' })).toMatchObject({ status: 'failed' });
  });

  test('rejects after its time, and says the last status', async () => {
    const { client } = await ScriptedServer.connect({
      answers: { 'tools/call': created, 'tasks/get': () => task('t1', 'working') },
    });
    const handle = client.startTask('work');
    const waiting = handle.wait({ timeoutMs: 50 });
    await expect(waiting).rejects.toThrow(TaskWaitTimeoutError);
    await expect(waiting).rejects.toMatchObject({ lastStatus: 'working', timeoutMs: 50, taskId: 't1' });
    await expect(waiting).rejects.toThrow('working');
  });

  test("rejects with its signal's reason, and lets the task go on", async () => {
    const { client, server } = await ScriptedServer.connect({
      answers: { 'tools/call': created, 'tasks/get': () => task('t1', 'working') },
    });
    const stop = new AbortController();
    const waiting = client.startTask('work').wait({ signal: stop.signal });
    await server.heardNth('tasks/get');
    stop.abort(new Error('enough'));
    await expect(waiting).rejects.toThrow('enough');
    await expect(client.task('t1').wait({ signal: stop.signal })).rejects.toThrow('enough');
    await client.ping();
    expect(server.count('tasks/cancel')).toBe(0);
    expect(getEventListeners(stop.signal, 'abort')).toEqual([]);
  });

  test('rejects when the server does not know the task', async () => {
    const { client } = await ScriptedServer.connect({
      answers: { 'tasks/get': refuse(-32602, 'Task not found') },
    });
    await expect(client.task('t9').wait()).rejects.toMatchObject({ code: -32602, taskId: 't9' });
  });
});

describe('cancel', () => {
  const cancelled = () => task('t1', 'cancelled', { statusMessage: 'by request' }, 5);

  test('resolves with the cancelled task, and makes the result reject', async () => {
    const { client } = await ScriptedServer.connect({
      answers: { 'tools/call': created, 'tasks/result': () => NEVER, 'tasks/cancel': cancelled },
    });
    const handle = client.startTask('work');
    const result = handle.result();
    await handle.created();
    expect(await handle.cancel()).toMatchObject({ taskId: 't1', status: 'cancelled' });
    await expect(result).rejects.toThrow(new TaskCancelledError('t1', 'by request'));
    expect(await handle.status()).toMatchObject({ status: 'cancelled' });
  });

  test('before the acknowledgement waits for it, and cancels the task', async () => {
    const acknowledged = deferred<Json>();
    const { client, server } = await ScriptedServer.connect({
      answers: { 'tools/call': () => acknowledged.promise, 'tasks/cancel': cancelled },
    });
    const handle = client.startTask('work');
    await server.heardNth('tools/call');
    const cancelling = handle.cancel();
    await client.ping();
    expect(server.count('tasks/cancel')).toBe(0);
    acknowledged.resolve(created());
    expect(await cancelling).toMatchObject({ status: 'cancelled' });
    await expect(handle).rejects.toThrow(TaskCancelledError);
    expect(server.count('notifications/cancelled')).toBe(0);
  });

  test('before anything is sent sends nothing', async () => {
    const { client, server } = await ScriptedServer.connect();
    const handle = client.startTask('work');
    expect(await handle.cancel()).toMatchObject({ taskId: undefined, status: 'cancelled' });
    await expect(handle).rejects.toThrow(TaskCancelledError);
    await client.ping();
    expect(server.count('tools/call')).toBe(0);
  });

  test('of a plain call cancels the request', async () => {
    const { client, server } = await ScriptedServer.connect({
      tools: { plain: undefined },
      answers: { 'tools/call': () => NEVER },
    });
    const handle = client.startTask('plain');
    const { id } = await server.heardNth('tools/call');
    expect(await handle.cancel()).toMatchObject({ status: 'cancelled' });
    await expect(handle).rejects.toThrow(TaskCancelledError);
    expect(server.all('notifications/cancelled')).toMatchObject([{ requestId: id }]);
  });

  test('of a task that has ended resolves with its end', async () => {
    const { client, server } = await ScriptedServer.connect({
      answers: {
        'tools/call': created,
        'tasks/cancel': refuse(-32602, 'already in terminal status'),
        'tasks/get': () => task('t1', 'completed'),
        'tasks/result': () => text('done'),
      },
    });
    const handle = client.startTask('work');
    await handle.created();
    expect(await handle.cancel()).toMatchObject({ status: 'completed' });
    expect(await handle.cancel()).toMatchObject({ status: 'completed' });
    expect(server.count('tasks/cancel')).toBe(1);
    expect((await handle).data).toBe('done');
  });

  test('rejects when the server does not know the task', async () => {
    const { client } = await ScriptedServer.connect({
      answers: {
        'tasks/cancel': refuse(-32602, 'Task not found'),
        'tasks/get': refuse(-32602, 'Task not found'),
      },
    });
    await expect(client.task('t9').cancel()).rejects.toMatchObject({
      code: -32602,
      message: 'Task not found',
    });
  });

  test('is not asked of a server that cannot cancel', async () => {
    const { client, server } = await ScriptedServer.connect({
      tasks: { requests: { tools: { call: {} } } },
      answers: { 'tools/call': created },
    });
    const handle = client.startTask('work');
    await handle.created();
    await expect(handle.cancel()).rejects.toThrow('The server does not support tasks/cancel');
    expect(server.count('tasks/cancel')).toBe(0);
  });

  test('by the signal of the start rejects with its reason at once, and cancels the task', async () => {
    const { client, server } = await ScriptedServer.connect({
      answers: { 'tools/call': created, 'tasks/result': () => NEVER, 'tasks/cancel': () => NEVER },
    });
    const stop = new AbortController();
    const handle = client.startTask('work', {}, { signal: stop.signal });
    const result = handle.result();
    await server.heardNth('tasks/result');
    stop.abort(new Error('enough'));
    await expect(result).rejects.toThrow('enough');
    expect((await server.heardNth('tasks/cancel'))['params']).toEqual({ taskId: 't1' });
    expect(getEventListeners(stop.signal, 'abort')).toEqual([]);
  });

  test('by somebody else makes a pending result reject', async () => {
    const { client, server } = await ScriptedServer.connect({
      answers: {
        'tools/call': created,
        'tasks/get': () => task('t1', 'working'),
        'tasks/result': () => NEVER,
      },
    });
    const handle = client.startTask('work');
    const result = handle.result();
    const waiting = handle.wait();
    await server.heardNth('tasks/get');
    server.tell(cancelled());
    await expect(result).rejects.toThrow(TaskCancelledError);
    expect(await waiting).toMatchObject({ status: 'cancelled' });
  });
});

describe('onProgress', () => {
  test('hears the progress of its own task from the start, until the listener is taken off', async () => {
    const { client, server } = await ScriptedServer.connect({
      answers: { 'tools/call': created, 'tasks/result': () => NEVER },
    });
    const heard: Json[][] = [[], []];
    const handle = client.startTask('work', {}, { onProgress: (progress) => heard[0]!.push(progress) });
    const off = handle.onProgress((progress) => heard[1]!.push(progress));
    await handle.created();
    const { progressToken } = server.all('tools/call')[0]!['_meta'] as Json;
    const tell = async (params: Json) => {
      server.notify('notifications/progress', { progressToken, ...params });
      await client.ping();
    };
    await tell({ progress: 1, total: 3, message: 'one' });
    await tell({ progressToken: 'another', progress: 9 });
    off();
    await tell({ progress: 2 });
    expect(heard).toEqual([
      [{ progress: 1, total: 3, message: 'one' }, { progress: 2 }],
      [{ progress: 1, total: 3, message: 'one' }],
    ]);
  });

  test('hears nothing after the end', async () => {
    const { client, server } = await ScriptedServer.connect({ answers: { 'tools/call': created } });
    let heard = 0;
    const handle = client.startTask('work', {}, { onProgress: () => heard++ });
    await handle.created();
    const { progressToken } = server.all('tools/call')[0]!['_meta'] as Json;
    server.tell(task('t1', 'completed', {}, 5));
    await client.ping();
    server.notify('notifications/progress', { progressToken, progress: 1 });
    await client.ping();
    expect(heard).toBe(0);
    expect(await handle.status()).toMatchObject({ status: 'completed' });
  });

  test("throws a listener's exception as an uncaught one, and goes on", async () => {
    const { client, server } = await ScriptedServer.connect({ answers: { 'tools/call': created } });
    const uncaught = deferred<unknown>();
    // Vitest's own listeners would fail the run.
    const others = process.listeners('uncaughtException');
    process.removeAllListeners('uncaughtException');
    process.once('uncaughtException', uncaught.resolve);
    const handle = client.startTask('work');
    let heard = 0;
    handle.onProgress(() => {
      throw new Error('mine');
    });
    handle.onProgress(() => heard++);
    await handle.created();
    const { progressToken } = server.all('tools/call')[0]!['_meta'] as Json;
    server.notify('notifications/progress', { progressToken, progress: 1 });
    const error = await uncaught.promise;
    for (const listener of others) process.on('uncaughtException', listener);
    expect(error).toMatchObject({ message: 'mine' });
    expect(heard).toBe(1);
  });
});

describe('a handle from `task`', () => {
  test('has everything but progress, and asks nothing by itself', async () => {
    const { client, server } = await ScriptedServer.connect({
      answers: {
        'tasks/get': () => task('t1', 'working'),
        'tasks/result': () => text('done'),
        'tasks/cancel': () => task('t1', 'cancelled'),
      },
    });
    const handle = client.task('t1');
    expect(handle).toMatchObject({ taskId: 't1', mode: 'task' });
    expect(await handle.created()).toBe('t1');
    expect(server.heard.filter(({ method }) => String(method).startsWith('tasks/'))).toEqual([]);
    expect(await handle.status()).toMatchObject({ status: 'working' });
    expect((await handle).data).toBe('done');
  });

  test('rejects when the connection is closed', async () => {
    const { client } = await ScriptedServer.connect();
    const handle = client.task('t1');
    await client.close();
    await expect(handle).rejects.toThrow(ConnectionClosedError);
  });
});
