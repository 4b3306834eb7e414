import { describe, expect, it } from 'vitest';
import { newGate, serveFixtures, serveFixturesOnce, startRunning, until, type Gate } from './fixtures.ts';
import { Peer } from './peer.ts';

const server = await serveFixtures({ maxQueuedPerOwner: 2, maxLookUpMisses: 5 });

// So that the thread is there, and the first task of a test starts at once.
await (await Peer.connect(server)).call('echo', { text: 'a' });

/** A client of a session of its own, and so an owner of its own. */
const connect = () => Peer.connect(server, { sessionId: crypto.randomUUID() });

describe('The limit on concurrent tasks of a requestor (tasks, "Resource Management" 1.1)', () => {
  it('refuses a task above it with -32000, saying the limit, and creates none', async () => {
    const peer = await connect();
    const gate = await newGate();
    const start = () => peer.start('wait_for_file', { path: gate.path });
    const tasks = [await start(), await start(), await start()];
    await expect(start()).rejects.toMatchObject({
      code: -32000,
      message: /Too many tasks wait: 2 of yours may; 2 are ahead, try again in \d+ ms/,
      data: { ahead: 2, limit: 2, retryAfterMs: expect.any(Number) },
    });
    expect(await peer.list()).toHaveLength(3);
    gate.open();
    await Promise.all(tasks.map(({ taskId }) => peer.result(taskId)));
  });

  it('counts plain calls as well', async () => {
    const peer = await connect();
    const gate = await newGate();
    const calls = [1, 2, 3].map(() => peer.call('wait_for_file', { path: gate.path }));
    await expect(peer.start('echo', { text: 'a' })).rejects.toMatchObject({ code: -32000 });
    await expect(peer.call('echo', { text: 'a' })).rejects.toMatchObject({ code: -32000 });
    gate.open();
    await Promise.all(calls);
  });

  it.each([
    [
      'ends',
      async (peer: Peer, taskId: string, _: string, gate: Gate) => {
        gate.open();
        await peer.result(taskId);
      },
    ],
    [
      'that waits is cancelled',
      async (peer: Peer, _: string, queued: string) => void (await peer.cancel(queued)),
    ],
  ])('has room again as soon as a task %s', async (_, end) => {
    const peer = await connect();
    const gates = [await newGate(), await newGate(), await newGate()];
    const tasks = [];
    for (const { path } of gates) tasks.push(await peer.start('wait_for_file', { path }));
    await end(peer, tasks[0]!['taskId'], tasks[2]!['taskId'], gates[0]!);
    await expect(peer.start('echo', { text: 'a' })).resolves.toHaveProperty('status', 'working');
  });

  it('does not count what has ended', async () => {
    const peer = await connect();
    for (let count = 0; count < 5; count++) {
      await peer.result((await peer.start('echo', { text: 'a' }))['taskId']);
    }
    expect(await peer.list()).toHaveLength(5);
  });

  it('is each requestor’s own', async () => {
    const [peer, other] = [await connect(), await connect()];
    const gate = await newGate();
    for (let count = 0; count < 3; count++) await peer.start('wait_for_file', { path: gate.path });
    await expect(other.start('echo', { text: 'a' })).resolves.toHaveProperty('status', 'working');
  });
});

describe('The limit on what waits, of all requestors together', () => {
  it('refuses what is above it, saying how many are ahead of this requestor', async () => {
    const busy = await serveFixturesOnce({ maxQueued: 2 });
    const [ann, bob] = [
      await Peer.connect(busy, { sessionId: 'a' }),
      await Peer.connect(busy, { sessionId: 'b' }),
    ];
    await ann.call('echo', { text: 'a' });
    const gate = await newGate();
    for (let count = 0; count < 3; count++) await ann.start('wait_for_file', { path: gate.path });
    // Its turn would come after the first of the others.
    await expect(bob.start('echo', { text: 'a' })).rejects.toMatchObject({
      code: -32000,
      data: { ahead: 1, limit: 2, retryAfterMs: expect.any(Number) },
    });
    expect(await bob.list()).toEqual([]);
    gate.open();
    await until(() => busy.load.queued === 0);
    await expect(bob.call('echo', { text: 'a' })).resolves.toHaveProperty('content');
  });
});

describe('The limit on what runs for one requestor', () => {
  it('lets more of its tasks wait, though threads are free, and others start', async () => {
    const wide = await serveFixturesOnce({ threads: 2, maxRunningPerOwner: 1 });
    const [ann, bob] = [
      await Peer.connect(wide, { sessionId: 'a' }),
      await Peer.connect(wide, { sessionId: 'b' }),
    ];
    const first = await startRunning(ann, 'spin_until_aborted');
    const second = await ann.start('echo', { text: 'a' });
    await expect(bob.call('echo', { text: 'b' })).resolves.toHaveProperty('content');
    expect((await ann.get(second['taskId']))['statusMessage']).toBe('queued, 0 ahead');
    await ann.cancel(first['taskId']);
    await expect(ann.result(second['taskId'])).resolves.toHaveProperty('content');
  });
});

describe('The rate limit on look-ups of unknown tasks (tasks, "Task Isolation and Access Control")', () => {
  const methods = ['tasks/get', 'tasks/result', 'tasks/cancel'];

  it('refuses an enumeration with -32000, saying when to try again', async () => {
    const peer = await connect();
    for (let miss = 0; miss < 5; miss++) {
      const taskId = crypto.randomUUID();
      await expect(peer.request(methods[miss % 3]!, { taskId })).rejects.toMatchObject({ code: -32602 });
    }
    for (const method of methods) {
      await expect(peer.request(method, { taskId: crypto.randomUUID() })).rejects.toMatchObject({
        code: -32000,
        message: /try again in \d+ s/,
        data: { retryAfterMs: expect.any(Number) },
      });
    }
  });

  it('tells a guesser nothing, be the guess right', async () => {
    const peer = await connect();
    const { taskId } = await peer.start('echo', { text: 'a' });
    await peer.result(taskId);
    for (let miss = 0; miss < 5; miss++) await peer.get(crypto.randomUUID()).catch(() => {});
    await expect(peer.get(taskId)).rejects.toMatchObject({ code: -32000 });
  });

  it('does not concern other requestors, nor look-ups of tasks that exist', async () => {
    const [peer, other] = [await connect(), await connect()];
    for (let miss = 0; miss < 10; miss++) await peer.get(crypto.randomUUID()).catch(() => {});
    const { taskId } = await other.start('echo', { text: 'a' });
    for (let hit = 0; hit < 10; hit++) await other.get(taskId);
    await expect(other.result(taskId)).resolves.toHaveProperty('content');
  });

  it('does not count a cancellation that comes too late', async () => {
    const peer = await connect();
    const { taskId } = await peer.start('echo', { text: 'a' });
    await peer.result(taskId);
    for (let late = 0; late < 10; late++) {
      await expect(peer.cancel(taskId)).rejects.toMatchObject({ code: -32602 });
    }
  });
});
