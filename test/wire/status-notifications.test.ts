import { TASK_META } from 'mcp-taskpool';
import { describe, expect, it } from 'vitest';
import { newGate, serveFixtures, startRunning } from './fixtures.ts';
import { callParams, Peer, stateOf, type Json } from './peer.ts';

const server = await serveFixtures();
const peer = await Peer.connect(server);

function notificationsOf(taskId: string): Json[] {
  return peer.notifications('notifications/tasks/status').filter((task) => task['taskId'] === taskId);
}

describe('Status notifications (tasks, "Task Status Notification")', () => {
  it('say that a queued task runs, and that it has ended', async () => {
    const [gate, next] = [await newGate(), await newGate()];
    const first = await peer.start('wait_for_file', { path: gate.path });
    const { taskId } = await peer.start('wait_for_file', { path: next.path });
    await peer.reached(first['taskId'], 'running');
    expect(notificationsOf(taskId)).toEqual([]);
    gate.open();
    await peer.reached(taskId, 'running');
    next.open();
    await peer.reached(taskId, 'completed');
    const [running, completed, ...more] = notificationsOf(taskId);
    expect(more).toEqual([]);
    expect(running).toMatchObject({
      status: 'working',
      _meta: { [TASK_META]: { state: 'running', thread: expect.any(Number), queuedMs: expect.any(Number) } },
    });
    expect(completed).toMatchObject({
      status: 'completed',
      _meta: { [TASK_META]: { state: 'completed', ranMs: expect.any(Number) } },
    });
  });

  it('leave the start out where the end follows within milliseconds', async () => {
    await peer.call('echo', { text: 'the thread is there' });
    const tasks = await Promise.all(Array.from({ length: 100 }, () => peer.start('echo', { text: 'a' })));
    for (const { taskId } of tasks) await peer.reached(taskId, 'completed');
    const states = tasks.flatMap(({ taskId }) => notificationsOf(taskId).map(stateOf));
    expect(states.filter((state) => state === 'completed')).toHaveLength(100);
    // A busy machine may hold one or the other up.
    expect(states.filter((state) => state === 'running').length).toBeLessThan(50);
  });

  it('carry the whole task, as tasks/get does', async () => {
    const { taskId } = await peer.start('throw_error');
    const params = await peer.reached(taskId, 'failed');
    expect(params).toEqual(await peer.get(taskId));
    expect(params).toMatchObject({ taskId, status: 'failed', statusMessage: 'the tool failed' });
  });

  it('come after the CreateTaskResult, however fast the tool is', async () => {
    const ids = Array.from({ length: 50 }, () =>
      peer.send('tools/call', callParams('echo', { text: 'a' }, {})),
    );
    const tasks = await Promise.all(ids.map((id) => peer.response(id)));
    for (const [index, { task }] of tasks.entries()) {
      await peer.reached(task.taskId, 'completed');
      const created = peer.messages.findIndex((message) => message['id'] === ids[index]);
      const notified = peer.messages.findIndex(
        ({ method, params }) => method !== undefined && params.taskId === task.taskId,
      );
      expect(notified).toBeGreaterThan(created);
    }
  });

  it('end with the cancellation of the task', async () => {
    const { taskId } = await startRunning(peer, 'finish_when_aborted');
    await peer.cancel(taskId);
    await peer.call('echo', { text: 'the thread is free again' });
    expect(notificationsOf(taskId).map(stateOf)).toEqual(['running', 'cancelled']);
  });

  it('say nothing of plain calls', async () => {
    const before = peer.notifications('notifications/tasks/status').length;
    await peer.call('echo', { text: 'a' });
    expect(peer.notifications('notifications/tasks/status')).toHaveLength(before);
  });

  it('agree with tasks/get at any moment: nobody is told what is not yet so', async () => {
    const { taskId } = await peer.start('echo', { text: 'a' });
    await peer.reached(taskId, 'completed');
    await expect(peer.get(taskId)).resolves.toHaveProperty('status', 'completed');
  });
});
