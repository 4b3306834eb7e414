import { describe, expect, it } from 'vitest';
import { newGate, serveFixtures, startRunning } from './fixtures.ts';
import { Peer, stateOf, type Json } from './peer.ts';

const server = await serveFixtures();
const peer = await Peer.connect(server);

const TERMINAL = ['completed', 'failed', 'cancelled'];

/** The states that the client was told, in their order. */
function statesOf(taskId: string): string[] {
  return peer
    .notifications('notifications/tasks/status')
    .filter((task) => task['taskId'] === taskId)
    .map(stateOf);
}

describe('A task (tasks, "Task Status Lifecycle" 2)', () => {
  it.each([
    ['completed', 'echo', { text: 'a' }],
    ['failed', 'throw_error', {}],
  ])('moves from working to %s, and no further', async (status, tool, args) => {
    const { taskId } = await peer.start(tool, args);
    await peer.result(taskId);
    await expect(peer.get(taskId)).resolves.toHaveProperty('status', status);
    await expect(peer.cancel(taskId)).rejects.toMatchObject({ code: -32602 });
    await expect(peer.get(taskId)).resolves.toHaveProperty('status', status);
  });

  it('moves from working to cancelled, and no further', async () => {
    const { taskId } = await startRunning(peer, 'finish_when_aborted');
    await peer.cancel(taskId);
    // The thread is free again, so the tool has returned its result by now.
    await peer.call('echo', { text: 'next' });
    await expect(peer.get(taskId)).resolves.toHaveProperty('status', 'cancelled');
    expect(statesOf(taskId)).toEqual(['running', 'cancelled']);
  });

  it('answers the same from its end on, however often it is asked', async () => {
    const { taskId } = await peer.start('add', { a: 1 });
    const result = await peer.result(taskId);
    const task = await peer.get(taskId);
    await peer.cancel(taskId).catch(() => {});
    expect(await peer.result(taskId)).toEqual(result);
    expect(await peer.get(taskId)).toEqual(task);
  });

  it('reaches exactly one terminal status when its end and its cancellation race', async () => {
    const rounds = Array.from({ length: 100 }, async (_, round) => {
      const { taskId } = await peer.start('echo', { text: `${round}` });
      const ended = peer.result(taskId).then(
        () => 'completed',
        () => 'cancelled',
      );
      // Some are cancelled while they wait, some while they run, and some too late.
      if (round % 3 > 0) await peer.get(taskId);
      if (round % 3 > 1) await peer.call('echo', { text: 'a moment' });
      const cancelled = await peer.cancel(taskId).then(
        ({ status }: Json) => status as string,
        (error: Json) => error['code'] as number,
      );
      const status = await ended;
      expect(cancelled).toBe(status === 'cancelled' ? 'cancelled' : -32602);
      await expect(peer.get(taskId)).resolves.toHaveProperty('status', status);
      await peer.reached(taskId, status as 'completed');
      return taskId;
    });
    for (const taskId of await Promise.all(rounds)) {
      const states = statesOf(taskId);
      expect(states.filter((state) => TERMINAL.includes(state))).toHaveLength(1);
      expect(TERMINAL).toContain(states.at(-1));
    }
  });
});

describe('tasks/get (tasks, "Getting Tasks")', () => {
  it('is answered at once, while the task runs and while tasks/result waits for it', async () => {
    const gate = await newGate();
    const { taskId } = await peer.start('wait_for_file', { path: gate.path });
    const result = peer.result(taskId);
    await expect(peer.get(taskId)).resolves.toHaveProperty('status', 'working');
    gate.open();
    await result;
    await expect(peer.get(taskId)).resolves.toHaveProperty('status', 'completed');
  });

  it('says the thread, and how long the task waited and ran', async () => {
    const { taskId } = await peer.start('echo', { text: 'a' });
    await peer.result(taskId);
    const { _meta } = await peer.get(taskId);
    expect(_meta).toEqual({
      'mcp-taskpool/task': {
        state: 'completed',
        thread: expect.any(Number),
        queuedMs: expect.any(Number),
        ranMs: expect.any(Number),
      },
    });
  });
});
