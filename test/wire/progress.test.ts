import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { emptyFolder, serveFixtures, startRunning } from './fixtures.ts';
import { callParams, Peer, RELATED_TASK, type Json } from './peer.ts';

const server = await serveFixtures();
const peer = await Peer.connect(server);

function progressOf(token: string | number): Json[] {
  return peer.notifications('notifications/progress').filter(({ progressToken }) => progressToken === token);
}

const progressed = (token: string | number, progress: number) =>
  peer.arrival(
    ({ method, params }) =>
      method === 'notifications/progress' && params.progressToken === token && params.progress === progress,
  );

describe('Progress of a task (progress, "Behavior Requirements" 3; tasks, "Task Progress Notifications")', () => {
  it('goes on with the original token after the CreateTaskResult, through the life of the task', async () => {
    const folder = await emptyFolder();
    const { taskId } = await peer.start('report_steps', { folder, steps: 3 }, {}, 'original');
    for (const step of [1, 2, 3]) {
      await progressed('original', step);
      await expect(peer.get(taskId)).resolves.toHaveProperty('status', 'working');
      await writeFile(join(folder, `${step}`), '');
    }
    await peer.result(taskId);
    expect(progressOf('original')).toEqual(
      [1, 2, 3].map((progress) => ({
        progressToken: 'original',
        progress,
        total: 3,
        message: `step ${progress}`,
        _meta: { [RELATED_TASK]: { taskId } },
      })),
    );
  });

  it('shows in the statusMessage', async () => {
    const folder = await emptyFolder();
    const { taskId } = await peer.start('report_steps', { folder, steps: 3 }, {}, 'status');
    await progressed('status', 1);
    await expect(peer.get(taskId)).resolves.toHaveProperty('statusMessage', 'step 1');
  });

  it('stops when the task has been cancelled, whatever the tool reports', async () => {
    const { taskId } = await startRunning(peer, 'finish_when_aborted', {}, 'cancelled');
    await peer.cancel(taskId);
    await peer.call('echo', { text: 'the thread is free again' });
    expect(progressOf('cancelled')).toEqual([]);
  });

  it('comes before the notification of the end, never after it', async () => {
    const { taskId } = await peer.start('flood_progress', { times: 1000 }, {}, 'last');
    await peer.reached(taskId, 'completed');
    await peer.call('echo', { text: 'the thread is free again' });
    const told = peer.messages.flatMap(({ method, params }) =>
      params?.progressToken === 'last' || params?.taskId === taskId ? [method] : [],
    );
    expect(told.lastIndexOf('notifications/progress')).toBeLessThan(told.length - 1);
    expect(told.at(-1)).toBe('notifications/tasks/status');
  });

  it('is sent only where a token was given', async () => {
    const before = peer.notifications('notifications/progress').length;
    const { taskId } = await peer.start('report_once');
    await peer.reached(taskId, 'completed');
    expect(peer.notifications('notifications/progress')).toHaveLength(before);
  });

  it('is not lost where the tool reports before anybody else has had a turn', async () => {
    const tokens = Array.from({ length: 300 }, (_, index) => `early ${index}`);
    const ids = tokens.map((token) => peer.send('tools/call', callParams('report_once', {}, {}, token)));
    for (const id of ids) {
      const { task } = await peer.response(id);
      await peer.reached(task.taskId, 'completed');
    }
    expect(tokens.filter((token) => progressOf(token).length !== 1)).toEqual([]);
  });
});

describe.each([
  [
    'a plain call',
    async (name: string, args: Json, token: string | number) => void (await peer.call(name, args, token)),
  ],
  [
    'a task',
    async (name: string, args: Json, token: string | number) => {
      const { task } = await peer.request('tools/call', callParams(name, args, {}, token));
      await peer.reached(task.taskId, 'completed');
    },
  ],
])('Progress of %s (progress, "Progress Flow")', (way, run) => {
  it('increases with each notification, whatever the tool reports', async () => {
    const token = `disorder of ${way}`;
    await run('report_in_disorder', {}, token);
    const values = progressOf(token).map(({ progress }) => progress as number);
    expect(values).toEqual([...new Set(values)].sort((a, b) => a - b));
    expect(values.at(-1)).toBe(3);
  });

  it('may be fractional, with no total', async () => {
    const token = `fraction of ${way}`;
    await run('report_in_disorder', {}, token);
    expect(progressOf(token)[0]).toMatchObject({ progress: 0.5 });
    expect(progressOf(token)[0]).not.toHaveProperty('total');
  });

  it('is limited to 20 notifications a second, of which the last has the last value', async () => {
    const token = `flood of ${way}`;
    const start = performance.now();
    await run('flood_progress', { times: 1_000_000 }, token);
    const tookMs = performance.now() - start;
    // One at once, one each 50 ms, and the last one at the end.
    expect(progressOf(token).length).toBeLessThanOrEqual(2 + tookMs / 50);
    expect(progressOf(token).at(-1)).toMatchObject({ progress: 1_000_000, total: 1_000_000 });
  });

  it('takes an integer for a token, be it 0', async () => {
    const token = way === 'a task' ? 0 : 7;
    await run('report_once', {}, token);
    expect(progressOf(token)).toMatchObject([{ progress: 1 }]);
  });
});
