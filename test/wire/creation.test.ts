import { describe, expect, it } from 'vitest';
import { newGate, serveFixtures, startRunning, until } from './fixtures.ts';
import { callParams, Peer, stateOf } from './peer.ts';

const server = await serveFixtures({ defaultTtlMs: 40_000, maxTtlMs: 60_000, pollIntervalMs: 700 });
const peer = await Peer.connect(server);

/** As in RFC 3339, to the millisecond. */
const ISO_8601 = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;

describe('The answer to a task-augmented call (tasks, "Result Retrieval" 1)', () => {
  it('is a CreateTaskResult, without the result of the call', async () => {
    const answer = await peer.request('tools/call', callParams('echo', { text: 'hello' }, {}));
    expect(Object.keys(answer).sort()).toEqual(['_meta', 'task']);
    expect(answer['task']).toEqual({
      taskId: expect.any(String),
      status: 'working',
      statusMessage: expect.any(String),
      createdAt: expect.any(String),
      lastUpdatedAt: expect.any(String),
      ttl: 40_000,
      pollInterval: 700,
    });
  });

  it('comes as soon as the task is accepted, while every thread spins', async () => {
    const spinning = await startRunning(peer, 'spin');
    await peer.start('echo', { text: 'hello' });
    await expect(peer.get(spinning['taskId'])).resolves.toHaveProperty('status', 'working');
  });
});

describe('A task id (tasks, "Task ID Requirements")', () => {
  it('is a string that the receiver generates', async () => {
    const task = await peer.start('echo', { text: 'a' }, { taskId: 'mine' });
    expect(task['taskId']).toBeTypeOf('string');
    expect(task['taskId']).not.toBe('mine');
    await expect(peer.get('mine')).rejects.toMatchObject({ code: -32602 });
  });

  it('is unique among all tasks', async () => {
    const tasks = await Promise.all(Array.from({ length: 500 }, () => peer.start('echo', { text: 'a' })));
    expect(new Set(tasks.map(({ taskId }) => taskId as string)).size).toBe(500);
    await Promise.all(tasks.map(({ taskId }) => peer.result(taskId)));
  });

  it('is a version 4 UUID: 122 random bits, too many to guess (tasks, "Task Isolation and Access Control")', async () => {
    const { taskId } = await peer.start('echo', { text: 'a' });
    expect(taskId).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  });
});

describe('The ttl of a task (tasks, "TTL and Resource Management")', () => {
  it.each([
    ['the one that was asked for', { ttl: 1234 }, 1234],
    ['the default where none was asked for', {}, 40_000],
    ['the maximum where more was asked for', { ttl: 1e12 }, 60_000],
  ])('is %s, and returned by the call, tasks/get, tasks/list and tasks/cancel', async (_, task, ttl) => {
    const gate = await newGate();
    const created = await peer.start('wait_for_file', { path: gate.path }, task);
    const { taskId } = created;
    expect(created['ttl']).toBe(ttl);
    await expect(peer.get(taskId)).resolves.toHaveProperty('ttl', ttl);
    expect((await peer.list()).find((listed) => listed['taskId'] === taskId)).toHaveProperty('ttl', ttl);
    await expect(peer.cancel(taskId)).resolves.toHaveProperty('ttl', ttl);
  });

  it("is the tool's own where none was asked for", async () => {
    await expect(peer.start('with_own_limits')).resolves.toHaveProperty('ttl', 20_000);
    await expect(peer.start('with_own_limits', {}, { ttl: 9000 })).resolves.toHaveProperty('ttl', 9000);
  });

  it('never exceeds the maximum, so that nothing is kept for ever (tasks, "Resource Management")', async () => {
    const { ttl } = await peer.start('echo', { text: 'a' }, { ttl: Number.MAX_VALUE });
    expect(ttl).toBe(60_000);
  });
});

describe('The pollInterval of a task (tasks, "TTL and Resource Management" 6)', () => {
  it("is the server's, or the tool's own", async () => {
    const { taskId, pollInterval } = await peer.start('echo', { text: 'a' });
    expect(pollInterval).toBe(700);
    await expect(peer.get(taskId)).resolves.toHaveProperty('pollInterval', 700);
    await expect(peer.start('with_own_limits')).resolves.toHaveProperty('pollInterval', 250);
  });
});

describe('The timestamps of a task (tasks, "TTL and Resource Management" 1 and 2)', () => {
  it('are in ISO 8601, and in every task response and status notification', async () => {
    const gate = await newGate();
    const created = await peer.start('wait_for_file', { path: gate.path });
    const { taskId } = created;
    const running = await peer.reached(taskId, 'running');
    const got = await peer.get(taskId);
    const listed = (await peer.list()).find((task) => task['taskId'] === taskId);
    const cancelled = await peer.cancel(taskId);
    for (const task of [created, running, got, listed, cancelled]) {
      expect(task).toMatchObject({
        createdAt: expect.stringMatching(ISO_8601),
        lastUpdatedAt: expect.stringMatching(ISO_8601),
      });
    }
  });

  it('say when the task was created, which stays, and when it was last updated, which moves on', async () => {
    const before = Date.now();
    const gate = await newGate();
    const created = await peer.start('wait_for_file', { path: gate.path });
    const { taskId, createdAt } = created;
    await peer.reached(taskId, 'running');
    await until(() => Date.now() > Date.parse(createdAt));
    gate.open();
    await peer.result(taskId);
    const ended = await peer.get(taskId);
    expect(ended['createdAt']).toBe(createdAt);
    expect(Date.parse(createdAt)).toBeGreaterThanOrEqual(before);
    expect(Date.parse(ended['lastUpdatedAt'])).toBeGreaterThan(Date.parse(createdAt));
    expect(Date.parse(ended['lastUpdatedAt'])).toBeLessThanOrEqual(Date.now());
  });
});

describe('The status of a task (tasks, "Task Status Lifecycle" 1)', () => {
  it('is `working` at the start, whether a thread is free or not, and however fast the tool is', async () => {
    const gate = await newGate();
    const running = await peer.start('wait_for_file', { path: gate.path });
    const queued = await peer.start('report_once');
    expect([running['status'], queued['status']]).toEqual(['working', 'working']);
    gate.open();
    await peer.result(queued['taskId']);
    await expect(peer.start('report_once')).resolves.toHaveProperty('status', 'working');
  });

  it('is `working` while queued and while running, which the metadata and statusMessage tell apart', async () => {
    const gate = await newGate();
    const first = await peer.start('wait_for_file', { path: gate.path });
    await peer.reached(first['taskId'], 'running');
    const [second, third] = [
      await peer.start('echo', { text: '2' }),
      await peer.start('echo', { text: '3' }),
    ];
    const views = await Promise.all([first, second, third].map(({ taskId }) => peer.get(taskId)));
    expect(views.map(({ status }) => status)).toEqual(['working', 'working', 'working']);
    expect(views.map(stateOf)).toEqual(['running', 'queued', 'queued']);
    expect(views.map(({ statusMessage }) => statusMessage)).toEqual([
      'running',
      'queued, 0 ahead',
      'queued, 1 ahead',
    ]);
    gate.open();
    await peer.result(third['taskId']);
  });
});
