import {
  ConnectionClosedError,
  InvalidAnswerError,
  TaskCancelledError,
  TaskError,
  TaskWaitTimeoutError,
} from 'mcp-taskpool/client';
import { describe, expect, test } from 'vitest';
import { connectModern } from './modern-channels.ts';
import { Refusal, created, detailed, discovered, form, said, sampling } from './modern-server.ts';
import { NEVER, deferred, type Json } from './scripted-server.ts';

/** A server with one task, whose state a test changes, that does not notify. */
async function oneTask(state: Json, options: Parameters<typeof connectModern>[1] = {}) {
  const current = { state };
  const { client, server } = await connectModern(
    {
      'tools/call': () => created('t1'),
      'tasks/get': () => {
        if (current.state instanceof Error) throw current.state;
        return current.state;
      },
      'tasks/update': ({ inputResponses }) => {
        current.state = detailed('t1', 'completed', { result: said(JSON.stringify(inputResponses)) }, 99);
        return { resultType: 'complete' };
      },
      'tasks/cancel': () => {
        current.state = detailed('t1', 'cancelled', { statusMessage: 'by request' }, 99);
        return { resultType: 'complete' };
      },
    },
    options,
  );
  return { client, server, current };
}

describe('the result of a task', () => {
  test('comes with its end, and is asked for once', async () => {
    const { client, server, current } = await oneTask(detailed('t1', 'working'));
    const handle = client.startTask('work');
    const result = handle.result();
    await server.nth('tasks/get', 3);
    current.state = detailed('t1', 'completed', { result: said('done', { isError: false }) }, 1);
    expect((await result).text).toBe('done');
    const gets = server.all('tasks/get').length;
    expect((await handle).text).toBe('done');
    expect(await handle.status()).toMatchObject({ status: 'completed' });
    expect(server.all('tasks/get')).toHaveLength(gets);
  });

  test('of a tool that failed says so, and is a result', async () => {
    const { client } = await oneTask(
      detailed('t1', 'completed', { result: said('no such file', { isError: true }) }, 1),
    );
    expect(await client.startTask('work')).toMatchObject({ isError: true, text: 'no such file' });
  });

  test('of a task that failed is its JSON-RPC error', async () => {
    const error = { code: -32001, message: 'timed out after 5 s', data: { ms: 5000 } };
    const { client } = await oneTask(detailed('t1', 'failed', { error, statusMessage: 'late' }, 1));
    const handle = client.startTask('work');
    await expect(handle).rejects.toMatchObject({ name: 'TaskError', taskId: 't1', ...error });
    expect(await handle.status()).toMatchObject({ status: 'failed', statusMessage: 'late' });
  });

  test('is asked for where the task had ended when it was created', async () => {
    const { client, server } = await oneTask(detailed('t1', 'completed', { result: said('at once') }));
    server.answers['tools/call'] = () => created('t1', { status: 'completed' });
    expect((await client.startTask('work')).text).toBe('at once');
  });

  test('of a task by its id is there in another client', async () => {
    const { client, server } = await oneTask(detailed('t1', 'completed', { result: said('kept') }));
    const handle = client.task('t1');
    expect((await handle).text).toBe('kept');
    expect(server.all('tools/call')).toEqual([]);
  });

  test('of a task that the server does not know is an error that names it', async () => {
    const refusal = new Refusal(-32602, 'Task not found');
    const { client, server } = await oneTask(refusal);
    server.answers['tasks/cancel'] = () => {
      throw refusal;
    };
    const error = { name: 'TaskError', code: -32602, message: 'Task not found', taskId: 'gone' };
    await expect(client.task('gone')).rejects.toMatchObject(error);
    await expect(client.task('gone').status()).rejects.toMatchObject(error);
    await expect(client.task('gone').wait()).rejects.toMatchObject(error);
    await expect(client.task('gone').cancel()).rejects.toMatchObject(error);
  });

  test.each([
    ['is no task', { resultType: 'complete' }],
    ['has an unknown status', detailed('t1', 'paused')],
    ['is completed without a result', detailed('t1', 'completed')],
    ['is failed without an error', detailed('t1', 'failed')],
    ['wants input without saying which', detailed('t1', 'input_required')],
    ['is of another task', detailed('t2', 'working')],
    ['is of another type', { ...detailed('t1', 'working'), resultType: 'input_required' }],
  ])('rejects when what the server says of the task %s', async (_, state) => {
    const { client } = await oneTask(state);
    await expect(client.startTask('work')).rejects.toThrow(InvalidAnswerError);
  });

  test('rejects when the result is none', async () => {
    const { client } = await oneTask(detailed('t1', 'completed', { result: { content: 'text' } }));
    await expect(client.startTask('work')).rejects.toThrow(/tasks\/get.*malformed/s);
  });

  test('rejects when the connection closes first', async () => {
    const { client, server } = await oneTask(detailed('t1', 'working'));
    const handle = client.startTask('work');
    const outcomes = Promise.allSettled([handle.result(), handle.wait()]);
    await server.nth('tasks/get');
    await client.close();
    for (const { status, ...outcome } of await outcomes) {
      expect(status).toBe('rejected');
      expect(outcome).toEqual({ reason: expect.any(ConnectionClosedError) });
    }
  });

  test('is waited for through lost polls', async () => {
    const { client, server } = await oneTask(detailed('t1', 'working'));
    let lost = 0;
    const get = server.answers['tasks/get']!;
    server.answers['tasks/get'] = (params, exchange) => {
      if (++lost <= 2) return NEVER;
      return get(params, exchange);
    };
    const waiting = client.startTask('work').wait({ timeoutMs: 50 });
    await expect(waiting).rejects.toThrow(TaskWaitTimeoutError);
    await expect(waiting).rejects.toMatchObject({ taskId: 't1', lastStatus: 'working' });
  });
});

describe('cancel', () => {
  test('resolves when the task has ended, and the result rejects', async () => {
    const { client, server } = await oneTask(detailed('t1', 'working'));
    const handle = client.startTask('work');
    await handle.created();
    expect(await handle.cancel()).toMatchObject({ status: 'cancelled', statusMessage: 'by request' });
    await expect(handle).rejects.toThrow(TaskCancelledError);
    await expect(handle).rejects.toMatchObject({ taskId: 't1', message: 'by request' });
    expect(server.all('tasks/cancel')).toHaveLength(1);
    // Never by the notification ("Task Cancellation").
    expect(server.notified).toEqual([]);
  });

  test('waits for the end where the server takes its time', async () => {
    const { client, server, current } = await oneTask(detailed('t1', 'working'));
    server.answers['tasks/cancel'] = () => ({ resultType: 'complete' });
    const handle = client.startTask('work');
    await handle.created();
    const cancelling = handle.cancel();
    await server.nth('tasks/get', 3);
    current.state = detailed('t1', 'cancelled', {}, 1);
    expect(await cancelling).toMatchObject({ status: 'cancelled' });
  });

  test('of a task that ends otherwise says how', async () => {
    const { client, server, current } = await oneTask(detailed('t1', 'working'));
    server.answers['tasks/cancel'] = () => {
      current.state = detailed('t1', 'completed', { result: said('too late') }, 1);
      throw new Refusal(-32602, 'already completed');
    };
    const handle = client.startTask('work');
    await handle.created();
    expect(await handle.cancel()).toMatchObject({ status: 'completed' });
    expect((await handle).text).toBe('too late');
  });

  test('rejects when the server refuses, and the task goes on', async () => {
    const { client, server } = await oneTask(detailed('t1', 'working'));
    server.answers['tasks/cancel'] = () => {
      throw new Refusal(-32603, 'not now');
    };
    const handle = client.startTask('work');
    await handle.created();
    await expect(handle.cancel()).rejects.toThrow('not now');
    expect(await handle.status()).toMatchObject({ status: 'working' });
  });

  test('by the signal of the task rejects with its reason', async () => {
    const { client, server } = await oneTask(detailed('t1', 'working'));
    const stop = new AbortController();
    const handle = client.startTask('work', {}, { signal: stop.signal });
    await handle.created();
    const result = handle.result();
    stop.abort(new Error('enough'));
    await expect(result).rejects.toThrow('enough');
    await server.nth('tasks/cancel');
  });

  test('is not asked of a server without tasks', async () => {
    const { client, server } = await connectModern({
      'server/discover': () => discovered({ capabilities: {} }),
    });
    await expect(client.task('t1').cancel()).rejects.toThrow('The server does not support tasks/cancel');
    expect(server.all('tasks/cancel')).toEqual([]);
  });
});

describe('a task that wants input', () => {
  const accept = (answer: string) => ({ action: 'accept' as const, content: { answer } });

  test('gets the answer of the handler, once', async () => {
    const asked: unknown[] = [];
    const answer = deferred();
    const { client, server } = await oneTask(
      detailed('t1', 'input_required', { inputRequests: { q1: form('Your name?') } }, 1),
      {
        async onElicit(params, { taskId }) {
          asked.push([params, taskId]);
          await answer.promise;
          return accept('Ada');
        },
      },
    );
    const handle = client.startTask('ask');
    const result = handle.result();
    // Seen many times, by two handles.
    await server.nth('tasks/get', 3);
    const other = client.task('t1');
    expect(await other.status()).toMatchObject({ status: 'input_required' });
    answer.resolve();
    expect(JSON.parse((await result).text)).toEqual({ q1: accept('Ada') });
    expect((await other).text).toContain('Ada');
    expect(asked).toEqual([[expect.objectContaining({ mode: 'form', message: 'Your name?' }), 't1']]);
    expect(server.all('tasks/update')).toHaveLength(1);
  });

  test('gets two answers at once in one update', async () => {
    const { client, server } = await oneTask(
      detailed('t1', 'input_required', { inputRequests: { a: form('one'), b: sampling('two') } }, 1),
      {
        onElicit: () => accept('1'),
        onSample: () => ({ role: 'assistant', model: 'm', content: { type: 'text', text: '2' } }),
      },
    );
    expect(JSON.parse((await client.startTask('ask')).text)).toMatchObject({
      a: accept('1'),
      b: { content: { text: '2' } },
    });
    expect(server.all('tasks/update')).toHaveLength(1);
  });

  test('may ask again, by another key', async () => {
    const { client, server, current } = await oneTask(
      detailed('t1', 'input_required', { inputRequests: { q1: form('first') } }, 1),
      { onElicit: ({ message }) => accept(message) },
    );
    const complete = server.answers['tasks/update']!;
    const answers: Json[] = [];
    server.answers['tasks/update'] = (params, exchange) => {
      answers.push(params['inputResponses'] as Json);
      if (answers.length === 2) return complete(params, exchange);
      current.state = detailed('t1', 'input_required', { inputRequests: { q2: form('second') } }, 2);
      return { resultType: 'complete' };
    };
    await client.startTask('ask');
    expect(answers).toEqual([{ q1: accept('first') }, { q2: accept('second') }]);
  });

  test('is answered without a mode as a form', async () => {
    const question = form('which');
    delete question['params'].mode;
    let mode: unknown;
    const { client } = await oneTask(
      detailed('t1', 'input_required', { inputRequests: { q: question } }, 1),
      {
        onElicit: (params) => {
          ({ mode } = params);
          return accept('x');
        },
      },
    );
    await client.startTask('ask');
    expect(mode).toBe('form');
  });

  test('takes its question back when it no longer has it', async () => {
    const asked = deferred<AbortSignal>();
    const { client, current } = await oneTask(
      detailed('t1', 'input_required', { inputRequests: { q: form('Sure?') } }, 1),
      {
        onElicit(_, { signal }) {
          asked.resolve(signal);
          return NEVER;
        },
      },
    );
    const result = client.startTask('ask').result();
    const signal = await asked.promise;
    current.state = detailed('t1', 'completed', { result: said('never mind') }, 2);
    expect((await result).text).toBe('never mind');
    expect(signal.aborted).toBe(true);
  });

  test('takes its question back when the client closes', async () => {
    const asked = deferred<AbortSignal>();
    const { client } = await oneTask(
      detailed('t1', 'input_required', { inputRequests: { q: form('Sure?') } }, 1),
      {
        onElicit(_, { signal }) {
          asked.resolve(signal);
          return NEVER;
        },
      },
    );
    client
      .startTask('ask')
      .wait()
      .catch(() => {});
    const signal = await asked.promise;
    await client.close();
    expect(signal.aborted).toBe(true);
  });

  test('is told `cancel` where the handler throws, and the error is not lost', async () => {
    const errors: Error[] = [];
    const { client } = await oneTask(
      detailed('t1', 'input_required', { inputRequests: { q: form('Sure?') } }, 1),
      {
        onElicit() {
          throw new Error('no terminal');
        },
        onError: (error) => errors.push(error),
      },
    );
    expect(JSON.parse((await client.startTask('ask')).text)).toEqual({ q: { action: 'cancel' } });
    expect(errors).toMatchObject([{ message: 'no terminal' }]);
  });

  test('of the model rejects the result where the handler throws, and stays open', async () => {
    const { client, server } = await oneTask(
      detailed('t1', 'input_required', { inputRequests: { q: sampling('A word?') } }, 1),
      {
        onSample() {
          throw new Error('no model');
        },
      },
    );
    const handle = client.startTask('ask');
    await expect(handle.result()).rejects.toThrow('no model');
    expect(server.all('tasks/update')).toEqual([]);
    expect(await handle.cancel()).toMatchObject({ status: 'cancelled' });
  });

  test('that nobody is there for rejects the result, and stays open for another client', async () => {
    const { client, server, current } = await oneTask(
      detailed('t1', 'input_required', { inputRequests: { q: form('Sure?') } }, 1),
    );
    const handle = client.startTask('ask');
    await expect(handle).rejects.toThrow(/elicitation\/create.*not declared/);
    expect(server.all('tasks/update')).toEqual([]);
    current.state = detailed('t1', 'completed', { result: said('answered by another') }, 2);
    expect((await client.task('t1')).text).toBe('answered by another');
  });

  test('rejects the result where the server refuses the answer', async () => {
    const { client, server } = await oneTask(
      detailed('t1', 'input_required', { inputRequests: { q: form('Sure?') } }, 1),
      { onElicit: () => accept('x') },
    );
    server.answers['tasks/update'] = () => {
      throw new Refusal(-32602, 'does not fit the schema');
    };
    await expect(client.startTask('ask')).rejects.toMatchObject({
      name: 'TaskError',
      message: 'does not fit the schema',
    });
  });

  test('whose answer comes too late goes on to its end', async () => {
    const { client, server, current } = await oneTask(
      detailed('t1', 'input_required', { inputRequests: { q: form('Sure?') } }, 1),
      { onElicit: () => accept('x') },
    );
    server.answers['tasks/update'] = () => {
      const error = { code: -32001, message: 'nobody answered' };
      current.state = detailed('t1', 'failed', { error }, 2);
      throw new Refusal(-32602, 'the task has ended');
    };
    const call = client.callTool('ask');
    await expect(call).rejects.toThrow(TaskError);
    await expect(call).rejects.toThrow('nobody answered');
  });

  test('is served to its end once anybody has seen that it does', async () => {
    const { client, server } = await oneTask(
      detailed('t1', 'input_required', { inputRequests: { q: form('Sure?') } }, 1),
      { onElicit: () => accept('x') },
    );
    expect(await client.task('t1').status()).toMatchObject({ status: 'input_required' });
    expect((await server.nth('tasks/update')).params).toMatchObject({
      taskId: 't1',
      inputResponses: { q: accept('x') },
    });
  });
});
