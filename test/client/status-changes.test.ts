import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { TaskSnapshot } from 'mcp-taskpool/client';
import { NEVER, ScriptedServer, WireError, meta, task, text, type Json } from './scripted-server.ts';

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

/** A server with one task, whose state a test changes. */
async function oneTask(state: Json) {
  const current = { state };
  const { client, server } = await ScriptedServer.connect({
    answers: {
      'tools/call': () => ({ task: task('t1', 'working'), ...meta('queued') }),
      'tasks/get': () => {
        if (current.state instanceof Error) throw current.state;
        return current.state;
      },
      'tasks/result': () => NEVER,
    },
  });
  return { client, server, current, polls: () => server.count('tasks/get') };
}

describe('status changes', () => {
  test('give each status once, by polls and notifications, and end after the end', async () => {
    const { client, server, current } = await oneTask(task('t1', 'working', meta('queued')));
    const seen: string[] = [];
    const all = (async () => {
      for await (const { status } of client.startTask('work')) seen.push(status);
    })();
    await settle();
    server.tell(task('t1', 'working', meta('queued', { ahead: 1 }), 1));
    server.tell(task('t1', 'working', meta('running'), 2));
    server.tell(task('t1', 'working', { ...meta('running'), statusMessage: 'half' }, 3));
    await settle();
    current.state = task('t1', 'input_required', {}, 4);
    await pass(1000);
    server.tell(task('t1', 'working', meta('running'), 5));
    server.tell(task('t1', 'completed', {}, 6));
    server.tell(task('t1', 'failed', {}, 7));
    await all;
    expect(seen).toEqual(['submitted', 'working', 'input_required', 'working', 'completed']);
  });

  test('go to each listener, until it is taken off', async () => {
    const { client, server } = await oneTask(task('t1', 'working', meta('queued')));
    const seen: TaskSnapshot['status'][][] = [[], []];
    const handle = client.startTask('work');
    handle.onStatusChange(({ status }) => seen[0]!.push(status));
    const off = handle.onStatusChange(({ status }) => seen[1]!.push(status));
    await settle();
    server.tell(task('t1', 'working', meta('running'), 1));
    await settle();
    off();
    server.tell(task('t1', 'completed', {}, 2));
    await settle();
    expect(seen).toEqual([['working', 'completed'], ['working']]);
  });

  test('never go back: what is older than what is known is passed over', async () => {
    const { client, server } = await oneTask(task('t1', 'working', meta('running'), 5));
    const seen: string[] = [];
    client.task('t1').onStatusChange(({ status }) => seen.push(status));
    await settle();
    server.tell(task('t1', 'working', meta('queued'), 5));
    server.tell(task('t1', 'input_required', {}, 4));
    server.tell(task('t1', 'completed', {}, 6));
    server.tell(task('t1', 'working', meta('running'), 7));
    await settle();
    expect(seen).toEqual(['working', 'completed']);
  });

  test('of a task that has ended are its end alone', async () => {
    const { client, polls } = await oneTask(task('t1', 'completed'));
    const handle = client.task('t1');
    await handle.status();
    const seen: string[] = [];
    for await (const { status } of handle) seen.push(status);
    expect(seen).toEqual(['completed']);
    expect(polls()).toBe(1);
  });

  test('of a plain call are submitted, working and its end', async () => {
    const { client } = await ScriptedServer.connect({
      tasks: false,
      answers: { 'tools/call': () => text('ok') },
    });
    const seen: string[] = [];
    for await (const { status } of client.startTask('work')) seen.push(status);
    expect(seen).toEqual(['submitted', 'working', 'completed']);
  });

  test('of other servers go from submitted to working with the acknowledgement', async () => {
    const { client, server } = await ScriptedServer.connect({
      answers: {
        'tools/call': () => ({ task: task('t1', 'working') }),
        'tasks/get': () => task('t1', 'working'),
      },
    });
    const seen: string[] = [];
    client.startTask('work').onStatusChange(({ status }) => seen.push(status));
    await settle();
    server.tell(task('t1', 'failed', {}, 1));
    await settle();
    expect(seen).toEqual(['working', 'failed']);
  });

  test('throw when the connection closes before the end', async () => {
    const { client, server } = await oneTask(task('t1', 'working'));
    const changes = client.task('t1')[Symbol.asyncIterator]();
    expect(await changes.next()).toMatchObject({ value: { status: 'working' } });
    await server.close();
    await expect(changes.next()).rejects.toThrow('The server has closed the connection');
    expect(await changes.next()).toEqual({ value: undefined, done: true });
  });

  test('end at once for who leaves the loop', async () => {
    const { client, polls } = await oneTask(task('t1', 'working'));
    for await (const _ of client.task('t1')) break;
    const changes = client.task('t1')[Symbol.asyncIterator]();
    const first = changes.next();
    const second = changes.next();
    await first;
    await changes.return?.();
    expect(await second).toEqual({ value: undefined, done: true });
    const before = polls();
    await pass(60_000);
    expect(polls()).toBe(before);
    expect(vi.getTimerCount()).toBe(0);
  });
});

describe('polling', () => {
  test('happens only while somebody listens', async () => {
    const { client, polls } = await oneTask(task('t1', 'working'));
    const handle = client.startTask('work');
    await handle.created();
    await pass(60_000);
    expect(polls()).toBe(0);
    const offs = [handle.onStatusChange(() => {}), handle.onStatusChange(() => {})];
    await pass(1000);
    expect(polls()).toBe(2);
    for (const off of offs) off();
    await pass(60_000);
    expect(polls()).toBe(2);
    expect(vi.getTimerCount()).toBe(0);
  });

  test('does not happen for the result, nor for progress', async () => {
    const { client, polls } = await oneTask(task('t1', 'working'));
    void client.startTask('work', {}, { onProgress: () => {} }).result();
    await pass(600_000);
    expect(polls()).toBe(0);
  });

  test('keeps to the interval of the server, and to a second where it names none', async () => {
    const { client, current, polls } = await oneTask(task('t1', 'working'));
    client.task('t1').onStatusChange(() => {});
    await settle();
    expect(polls()).toBe(1);
    await pass(999);
    expect(polls()).toBe(1);
    current.state = task('t1', 'working', { pollInterval: 5000 }, 1);
    await pass(1);
    expect(polls()).toBe(2);
    await pass(4999);
    expect(polls()).toBe(2);
    await pass(1);
    expect(polls()).toBe(3);
  });

  test('becomes rarer while nothing changes, up to half a minute, and is quick again after a change', async () => {
    const { client, server, polls } = await oneTask(task('t1', 'working'));
    client.task('t1').onStatusChange(() => {});
    await settle();
    const pauses: number[] = [];
    for (let n = polls(), paused = 0; pauses.length < 12;) {
      await pass(250);
      paused += 250;
      if (polls() === n) continue;
      n = polls();
      pauses.push(paused);
      paused = 0;
    }
    expect(pauses.slice(0, 3)).toEqual([1000, 1500, 2250]);
    expect(pauses.slice(-3)).toEqual([30_000, 30_000, 30_000]);
    server.tell(task('t1', 'working', { statusMessage: 'half' }, 1));
    const before = polls();
    await pass(1000);
    expect(polls()).toBe(before + 1);
  });

  test('is never more frequent than the server wishes, however rare that is', async () => {
    const { client, polls } = await oneTask(task('t1', 'working', { pollInterval: 100_000 }));
    client.task('t1').onStatusChange(() => {});
    await pass(99_999);
    expect(polls()).toBe(1);
    await pass(1);
    expect(polls()).toBe(2);
  });

  test('has chance in its pauses, which only makes them longer', async () => {
    vi.mocked(Math.random).mockReturnValue(0.8);
    const { client, polls } = await oneTask(task('t1', 'working'));
    client.task('t1').onStatusChange(() => {});
    await pass(1199);
    expect(polls()).toBe(1);
    await pass(1);
    expect(polls()).toBe(2);
  });

  test('stops when a notification says that the task has ended', async () => {
    const { client, server, polls } = await oneTask(task('t1', 'working'));
    client.task('t1').onStatusChange(() => {});
    await settle();
    server.tell(task('t1', 'completed', {}, 1));
    await pass(60_000);
    expect(polls()).toBe(1);
    expect(vi.getTimerCount()).toBe(0);
  });

  test('stops when its listener is aborted, and when the client is closed', async () => {
    const { client, polls } = await oneTask(task('t1', 'working'));
    const stop = new AbortController();
    const waiting = client.task('t1').wait({ signal: stop.signal });
    const other = client.task('t1').wait();
    await settle();
    stop.abort();
    await expect(waiting).rejects.toThrow();
    await client.close();
    await expect(other).rejects.toThrow('The client is closed');
    const before = polls();
    await pass(60_000);
    expect(polls()).toBe(before);
    expect(vi.getTimerCount()).toBe(0);
  });

  test('shares one request between all who listen to a handle', async () => {
    const { client, polls } = await oneTask(task('t1', 'working'));
    const handle = client.task('t1');
    handle.onStatusChange(() => {});
    handle.wait().catch(() => {});
    const changes = handle[Symbol.asyncIterator]();
    await changes.next();
    expect(polls()).toBe(1);
  });

  test('ends when the server does not know the task', async () => {
    const { client, current, polls } = await oneTask(task('t1', 'working'));
    const waiting = client.task('t1').wait();
    await settle();
    current.state = new WireError(-32602, 'Task not found');
    const settled = Promise.allSettled([waiting]);
    await pass(1000);
    const reason = expect.objectContaining({ code: -32602, message: 'Task not found' });
    expect(await settled).toEqual([{ status: 'rejected', reason }]);
    await pass(60_000);
    expect(polls()).toBe(2);
  });

  test('is given up when the network stays down, until somebody asks again', async () => {
    let isDown = true;
    const { client } = await ScriptedServer.connect({
      loses: (method) => isDown && method.startsWith('tasks/'),
      answers: { 'tasks/get': () => task('t1', 'completed'), 'tasks/result': () => text('done') },
    });
    const handle = client.task('t1');
    const settled = Promise.allSettled([
      handle.result(),
      handle.wait(),
      handle[Symbol.asyncIterator]().next(),
    ]);
    await pass(120_000);
    const reason = new Error('the network is down');
    expect(await settled).toEqual(Array.from({ length: 3 }, () => ({ status: 'rejected', reason })));
    expect(vi.getTimerCount()).toBe(0);
    isDown = false;
    expect(await handle.wait()).toMatchObject({ status: 'completed' });
    expect((await handle).data).toBe('done');
  });

  test('keeps to a second where the server wishes no pause at all', async () => {
    const { client, polls } = await oneTask(task('t1', 'working', { pollInterval: 0 }));
    client.task('t1').onStatusChange(() => {});
    await pass(999);
    expect(polls()).toBe(1);
  });

  test('goes on after answers that got lost', async () => {
    const { client, server, polls } = await oneTask(task('t1', 'working'));
    server.answers['tasks/get'] = () => (polls() <= 2 ? NEVER : task('t1', 'completed'));
    const waiting = client.task('t1').wait();
    // A poll is given a minute.
    await pass(125_000);
    expect(await waiting).toMatchObject({ status: 'completed' });
  });
});
