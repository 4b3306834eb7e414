import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { connectModern } from './modern-channels.ts';
import { Refusal, acknowledge, created, detailed, form, said, tell, type Exchange } from './modern-server.ts';
import { NEVER, deferred, meta, type Json } from './scripted-server.ts';

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  vi.spyOn(Math, 'random').mockReturnValue(0);
});

afterEach(() => {
  vi.restoreAllMocks();
  vi.useRealTimers();
});

/** Lets happen what takes no time. */
const settle = () => vi.advanceTimersByTimeAsync(0);
const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms);

/** A server that makes tasks t1, t2, …, all in the states that a test gives them. */
async function serve(
  listen: (exchange: Exchange) => unknown,
  options: Parameters<typeof connectModern>[1] = {},
) {
  const states: Record<string, Json> = {};
  let count = 0;
  const { client, server } = await connectModern(
    {
      'tools/call': () => {
        const taskId = `t${++count}`;
        states[taskId] ??= detailed(taskId, 'working', { pollIntervalMs: 1000 });
        return created(taskId, { pollIntervalMs: 1000 });
      },
      'tasks/get': ({ taskId }) => states[taskId as string],
      'tasks/update': () => ({ resultType: 'complete' }),
      'subscriptions/listen': (_, exchange) => listen(exchange),
    },
    options,
  );
  return {
    client,
    server,
    states,
    polls: () => server.all('tasks/get').length,
    streams: () => server.all('subscriptions/listen'),
  };
}

/** Acknowledges all that it is asked for, and stays open. */
function agree(exchange: Exchange) {
  acknowledge(exchange, exchange.params['notifications'].taskIds as string[]);
  return NEVER;
}

function asked(exchange: Exchange): unknown {
  return exchange.params['notifications'].taskIds;
}

describe('where the server agrees to notify', () => {
  test('a task is not polled but once, and seldom to make sure', async () => {
    const { client, polls, streams } = await serve(agree);
    const result = client.startTask('work').result();
    await settle();
    expect(streams().map(asked)).toEqual([['t1']]);
    // What happened before the acknowledgement was not notified.
    expect(polls()).toBe(1);
    await pass(29_000);
    expect(polls()).toBe(1);
    await pass(2000);
    expect(polls()).toBe(2);
    tell(streams()[0]!, detailed('t1', 'completed', { result: said('done') }, 1));
    await settle();
    expect((await result).text).toBe('done');
    expect(polls()).toBe(2);
  });

  test('the stream is closed when nobody follows a task any more', async () => {
    const { client, streams } = await serve(agree);
    const handle = client.startTask('work');
    const off = handle.onStatusChange(() => {});
    await settle();
    expect(streams()[0]!.signal.aborted).toBe(false);
    off();
    await settle();
    expect(streams()[0]!.signal.aborted).toBe(true);
  });

  test('every change is told as it comes', async () => {
    const { client, streams } = await serve(agree);
    const seen: unknown[] = [];
    const handle = client.startTask('work');
    handle.onStatusChange(({ status }) => seen.push(status));
    await settle();
    const [stream] = streams();
    tell(stream!, detailed('t1', 'working', meta('queued', { ahead: 2 }), 1));
    tell(stream!, detailed('t1', 'working', { ...meta('running'), statusMessage: 'half' }, 2));
    tell(stream!, detailed('t2', 'failed', { error: { code: 1, message: 'not ours' } }, 3));
    tell(stream!, detailed('t1', 'cancelled', {}, 4));
    await settle();
    // First by the answer to the call.
    expect(seen).toEqual(['working', 'submitted', 'working', 'cancelled']);
  });

  test('a question is answered without a poll', async () => {
    const { client, server, streams, states, polls } = await serve(agree, {
      onElicit: () => ({ action: 'accept', content: { answer: 'x' } }),
    });
    const result = client.startTask('ask').result();
    await settle();
    const before = polls();
    const asking = detailed('t1', 'input_required', { inputRequests: { q: form('?') } }, 1);
    tell(streams()[0]!, asking);
    tell(streams()[0]!, asking);
    await server.nth('tasks/update');
    expect(polls()).toBe(before);
    states['t1'] = detailed('t1', 'completed', { result: said('done') }, 2);
    await settle();
    expect((await result).text).toBe('done');
    expect(server.all('tasks/update')).toHaveLength(1);
  });

  test('a question is not asked again when a poll from before its end comes after it', async () => {
    const questions: string[] = [];
    const poll = deferred<Json>();
    const { client, server, streams } = await serve(agree, {
      onElicit: ({ message }) => {
        questions.push(message);
        return { action: 'accept', content: { answer: 'x' } };
      },
    });
    server.answers['tasks/get'] = () => poll.promise;
    const handle = client.startTask('ask');
    const result = handle.result();
    await settle();
    const asking = detailed('t1', 'input_required', { inputRequests: { q: form('?') } }, 1);
    tell(streams()[0]!, asking);
    await server.nth('tasks/update');
    tell(streams()[0]!, detailed('t1', 'completed', { result: said('done') }, 2));
    expect((await result).text).toBe('done');
    poll.resolve(asking);
    await settle();
    expect(questions).toEqual(['?']);
    expect(server.all('tasks/update')).toHaveLength(1);
  });

  test('what it says in another shape is reported, and the stream goes on', async () => {
    const errors: Error[] = [];
    const { client, streams } = await serve(agree, { onError: (error) => errors.push(error) });
    const result = client.startTask('work').result();
    await settle();
    tell(streams()[0]!, { taskId: 't1', status: 'done' });
    tell(streams()[0]!, detailed('t1', 'completed', { result: said('done') }, 1));
    expect((await result).text).toBe('done');
    expect(errors).toMatchObject([{ message: expect.stringContaining('notifications/tasks') }]);
  });
});

describe('many tasks', () => {
  test('share one stream, which another takes over from when there are more', async () => {
    const { client, streams, polls } = await serve(agree);
    const results = [client.startTask('work').result()];
    await settle();
    results.push(...[2, 3, 4].map(() => client.startTask('work').result()));
    await settle();
    expect(streams().at(-1)!.signal.aborted).toBe(false);
    expect(asked(streams().at(-1)!)).toEqual(['t1', 't2', 't3', 't4']);
    expect(streams().filter(({ signal }) => !signal.aborted)).toHaveLength(1);
    // Each once; the first was notified of all along.
    expect(polls()).toBe(4);
    for (const taskId of ['t1', 't2', 't3', 't4']) {
      tell(streams().at(-1)!, detailed(taskId, 'completed', { result: said(taskId) }, 1));
    }
    const texts = (await Promise.all(results)).map(({ text }) => text);
    expect(texts).toEqual(['t1', 't2', 't3', 't4']);
    await settle();
    expect(streams().every(({ signal }) => signal.aborted)).toBe(true);
  });

  test('that come while the server has not answered wait for the stream after that', async () => {
    const gate = deferred();
    const { client, streams } = await serve(async (exchange) => {
      if (exchange.params['notifications'].taskIds.length === 1) await gate.promise;
      return agree(exchange);
    });
    const start = () =>
      void client
        .startTask('work')
        .result()
        .catch(() => {});
    start();
    await settle();
    for (let n = 0; n < 4; n++) start();
    await settle();
    expect(streams().map(asked)).toEqual([['t1']]);
    gate.resolve();
    await settle();
    expect(streams().map(asked)).toEqual([['t1'], ['t1', 't2', 't3', 't4', 't5']]);
  });

  test('of which the server notifies some are polled, the others', async () => {
    const { client, server, streams } = await serve((exchange) => {
      acknowledge(exchange, ['t1']);
      return NEVER;
    });
    for (let n = 0; n < 2; n++)
      void client
        .startTask('work')
        .result()
        .catch(() => {});
    await settle();
    expect(asked(streams().at(-1)!)).toEqual(['t1', 't2']);
    const before = server.all('tasks/get').length;
    await pass(1500);
    const polled = server.all('tasks/get').slice(before);
    expect(polled.map(({ params }) => params['taskId'] as unknown)).toEqual(['t2']);
  });
});

describe('where the server does not notify', () => {
  const refusals: Record<string, (exchange: Exchange) => unknown> = {
    'it has no subscriptions'() {
      throw new Refusal(-32601, 'Method not found');
    },
    'it wants a capability'() {
      throw new Refusal(-32021, 'Missing required client capability');
    },
    'it agrees to none'(exchange) {
      acknowledge(exchange, undefined);
      return NEVER;
    },
    'it answers with nonsense'({ id, notify }) {
      notify('notifications/subscriptions/acknowledged', {
        _meta: { 'io.modelcontextprotocol/subscriptionId': id },
        notifications: { taskIds: 'all' },
      });
      return NEVER;
    },
  };

  test.each(Object.keys(refusals))('because %s, a task is polled as often as it says', async (why) => {
    const { client, polls, streams } = await serve(refusals[why]!);
    const result = client.startTask('work').result();
    await settle();
    expect(polls()).toBe(1);
    // Less and less often, while nothing changes.
    await pass(1500);
    expect(polls()).toBe(2);
    result.catch(() => {});
    // It is not asked again for what it refused.
    void client
      .startTask('work')
      .result()
      .catch(() => {});
    await settle();
    expect(streams().length).toBe(why === 'it agrees to none' ? 2 : 1);
  });

  test('a task is polled while it has not answered at all', async () => {
    const { client, polls } = await serve(() => NEVER);
    client
      .startTask('work')
      .result()
      .catch(() => {});
    await settle();
    expect(polls()).toBe(0);
    await pass(1000);
    expect(polls()).toBe(1);
  });
});

describe('a stream that is lost', () => {
  test('is opened again after a pause, and the task polled meanwhile', async () => {
    const { client, polls, streams, states } = await serve(agree);
    const result = client.startTask('work').result();
    await settle();
    expect(polls()).toBe(1);
    streams()[0]!.cut();
    await settle();
    expect(polls()).toBe(2);
    expect(streams()).toHaveLength(1);
    await pass(1000);
    expect(streams()).toHaveLength(2);
    states['t1'] = detailed('t1', 'completed', { result: said('done') }, 1);
    tell(streams()[1]!, states['t1']);
    expect((await result).text).toBe('done');
  });

  test('is opened again when the server has ended it in order', async () => {
    const ends: (() => void)[] = [];
    const { client, streams } = await serve((exchange) => {
      void agree(exchange);
      return new Promise((resolve) => ends.push(() => resolve({ resultType: 'complete' })));
    });
    client
      .startTask('work')
      .result()
      .catch(() => {});
    await settle();
    ends[0]!();
    await pass(1000);
    expect(streams()).toHaveLength(2);
    ends[1]!();
    await pass(1000);
    expect(streams()).toHaveLength(3);
  });

  test('again and again is waited for longer and longer', async () => {
    const { client, streams } = await serve((exchange) => {
      queueMicrotask(() => exchange.cut());
      return NEVER;
    });
    client
      .startTask('work')
      .result()
      .catch(() => {});
    await settle();
    const counts: number[] = [];
    for (const ms of [1000, 1000, 1000, 1000, 1000, 1000, 1000]) {
      await pass(ms);
      counts.push(streams().length);
    }
    expect(counts).toEqual([2, 2, 3, 3, 3, 3, 4]);
  });

  test('is not opened again when nobody follows a task any more', async () => {
    const { client, streams } = await serve(agree);
    const off = client.startTask('work').onStatusChange(() => {});
    await settle();
    streams()[0]!.cut();
    off();
    await pass(5000);
    expect(streams()).toHaveLength(1);
    expect(vi.getTimerCount()).toBe(0);
  });
});
