import { MemoryStore } from 'mcp-taskpool';
import { describe, expect, it } from 'vitest';
import { newGate, serveFixtures, serveFixturesOnce, startRunning, until } from './fixtures.ts';
import { Peer } from './peer.ts';

const server = await serveFixtures({ graceMs: 100 });
const peer = await Peer.connect(server);

// So that the thread is warm, and what is started runs before it expires.
await peer.call('echo', { text: 'a' });

/** Whether the server still knows the task. */
const isKnown = (taskId: string) =>
  peer.get(taskId).then(
    () => true,
    () => false,
  );

const expired = (taskId: string) => until(async () => !(await isKnown(taskId)));

/** By how much the clock by which tasks expire, which goes on evenly, may differ from that of the machine meanwhile. */
const CLOCKS_MS = 20;

describe('A task whose ttl has elapsed (tasks, "TTL and Resource Management" 5; "Resource Management" 1.3)', () => {
  it('is unknown: -32602 to tasks/get, tasks/result and tasks/cancel, and not listed', async () => {
    const { taskId } = await peer.start('echo', { text: 'a' }, { ttl: 300 });
    await expired(taskId);
    for (const method of ['tasks/get', 'tasks/result', 'tasks/cancel']) {
      await expect(peer.request(method, { taskId })).rejects.toMatchObject({
        code: -32602,
        message: /expired/,
      });
    }
    expect(await peer.list()).toEqual([]);
  });

  it('is kept until then', async () => {
    const { taskId, createdAt, ttl } = await peer.start('echo', { text: 'a' }, { ttl: 500 });
    const expiresAt = Date.parse(createdAt) + ttl;
    let askedAt = Date.now();
    while (await isKnown(taskId)) {
      expect(askedAt).toBeLessThan(expiresAt + CLOCKS_MS);
      await new Promise(setImmediate);
      askedAt = Date.now();
    }
    expect(Date.now()).toBeGreaterThanOrEqual(expiresAt - CLOCKS_MS);
  });

  it.each([
    ['that awaits its signal', 'finish_when_aborted'],
    ['that is deaf to its signal', 'spin'],
  ])('is aborted while it runs a tool %s: the thread is free again', async (_, tool) => {
    const { taskId } = await startRunning(peer, tool, { ttl: 1500 });
    await expect(peer.result(taskId)).rejects.toMatchObject({ code: -32602, message: /expired/ });
    await expect(peer.call('echo', { text: 'free' })).resolves.toHaveProperty('content');
    await expect(peer.get(taskId)).rejects.toMatchObject({ code: -32602 });
  });

  it('has its waiting tasks/result rejected', async () => {
    const { path } = await newGate();
    const { taskId } = await peer.start('wait_for_file', { path }, { ttl: 100 });
    await expect(peer.result(taskId)).rejects.toMatchObject({ code: -32602, message: /expired/ });
  });

  it('never starts where it was queued', async () => {
    const [gate, trace] = [await newGate(), await newGate()];
    const first = await peer.start('wait_for_file', { path: gate.path });
    const { taskId } = await peer.start('leave_trace', { trace: trace.path }, { ttl: 100 });
    await expect(peer.result(taskId)).rejects.toMatchObject({ code: -32602 });
    gate.open();
    await peer.result(first['taskId']);
    await peer.call('echo', { text: 'free' });
    expect(trace.isOpen).toBe(false);
  });

  it('frees its place among the unfinished tasks of its owner', async () => {
    const { path } = await newGate();
    const { taskId } = await peer.start('wait_for_file', { path }, { ttl: 100 });
    await expired(taskId);
    await until(() => server.load.queued + server.load.running === 0);
    expect(server.load).toEqual({ queued: 0, running: 0 });
  });

  it('is removed also where the store fails at first', async () => {
    class FailingOnce extends MemoryStore {
      #failed = false;
      override async purge(now: number) {
        if (this.#failed) return super.purge(now);
        this.#failed = true;
        throw new Error('the disk is away');
      }
    }
    const store = new FailingOnce();
    const errors: string[] = [];
    const log = { info() {}, warn() {}, error: (_: object, message: string) => void errors.push(message) };
    const failing = await Peer.connect(await serveFixturesOnce({ store, log }));
    await failing.start('echo', { text: 'a' }, { ttl: 200 });
    await until(async () => (await store.size()) === 0);
    expect(errors).toEqual([expect.stringMatching(/store did not remove/)]);
  });
});
