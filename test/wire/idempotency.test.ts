import { IDEMPOTENCY_META, MemoryStore } from 'mcp-taskpool';
import { describe, expect, it, vi } from 'vitest';
import { newGate, serveFixtures, serveFixturesOnce } from './fixtures.ts';
import { Peer, type Json } from './peer.ts';

const server = await serveFixtures();
const peer = await Peer.connect(server);

const start = (key: unknown, args: Json = { text: 'a' }, name = 'echo', from = peer) =>
  from.request('tools/call', { name, arguments: args, task: {}, _meta: { [IDEMPOTENCY_META]: key } });

const idOf = ({ task }: Json) => (task as Json)['taskId'];

describe('A call with an idempotency key', () => {
  it('is the same task as the one before with this key, whether that has ended or not', async () => {
    const gate = await newGate();
    const { path } = gate;
    const first = idOf(await start('k1', { path }, 'wait_for_file'));
    expect(idOf(await start('k1', { path }, 'wait_for_file'))).toBe(first);
    gate.open();
    await peer.result(first);
    const again = await start('k1', { path }, 'wait_for_file');
    expect(again['task']).toMatchObject({ taskId: first, status: 'completed' });
  });

  it('is one task, however many come at the same time', async () => {
    const answers = await Promise.all(Array.from({ length: 20 }, () => start('k2')));
    expect(new Set(answers.map(idOf)).size).toBe(1);
  });

  it('is refused with -32602 for other arguments, or another tool', async () => {
    const { path } = await newGate();
    await start('k3');
    await expect(start('k3', { text: 'b' })).rejects.toMatchObject({ code: -32602, message: /"k3"/ });
    await expect(start('k3', { trace: path }, 'leave_trace')).rejects.toMatchObject({ code: -32602 });
  });

  it('is another task with another key, and of another requestor', async () => {
    const other = await Peer.connect(server, { sessionId: 'other' });
    const tasks = [await start('k4'), await start('k5'), await start('k4', { text: 'a' }, 'echo', other)];
    expect(new Set(tasks.map(idOf)).size).toBe(3);
  });

  it('is a new task once the first has expired', async () => {
    const call = { name: 'echo', arguments: { text: 'a' }, _meta: { [IDEMPOTENCY_META]: 'k6' } };
    const first = idOf(await peer.request('tools/call', { ...call, task: { ttl: 100 } }));
    let next = first;
    while (next === first) next = idOf(await start('k6'));
    await expect(peer.result(next)).resolves.toHaveProperty('content');
  });

  it('is a new task where the first expires just when it has been found', async () => {
    const store = new MemoryStore();
    const gate = await newGate();
    const own = await Peer.connect(await serveFixturesOnce({ store }));
    const call = () => start('k8', { path: gate.path }, 'wait_for_file', own);
    const first = idOf(await call());
    const now = store.clock.now.bind(store.clock);
    let passes = Infinity;
    // It passes when the time has been asked for once.
    vi.spyOn(store.clock, 'now').mockImplementation(() => now() + (passes-- > 0 ? 0 : 86_400_000));
    const find = store.findByKey.bind(store);
    vi.spyOn(store, 'findByKey').mockImplementationOnce(async (owner, key) => {
      const task = await find(owner, key);
      passes = 1;
      return task;
    });
    const next = idOf(await call());
    expect(next).not.toBe(first);
    gate.open();
    await expect(own.result(next)).resolves.toHaveProperty('content');
  });

  it('runs once as a plain call, too, and gives the same result again', async () => {
    const params = { name: 'echo', arguments: { text: 'a' }, _meta: { [IDEMPOTENCY_META]: 'k7' } };
    const [first, again] = [
      await peer.request('tools/call', params),
      await peer.request('tools/call', params),
    ];
    // The metadata has the thread and the times of the one run.
    expect(again).toEqual(first);
  });

  it.each([7, '', 'x'.repeat(257)])('is refused with -32602 where the key is %j', async (key) => {
    await expect(start(key)).rejects.toMatchObject({ code: -32602, message: /idempotencyKey: expected/ });
  });
});
