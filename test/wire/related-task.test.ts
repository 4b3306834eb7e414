import { describe, expect, it } from 'vitest';
import { emptyFolder, newGate, serveFixtures } from './fixtures.ts';
import { callParams, Peer, RELATED_TASK, type Json } from './peer.ts';

const server = await serveFixtures();
const peer = await Peer.connect(server);

/** The task that a message's metadata relates it to. */
const relatedTo = (params: Json): unknown => params['_meta']?.[RELATED_TASK]?.taskId;

describe('The related-task metadata (tasks, "Associating Task-Related Messages" 1)', () => {
  it('is in the CreateTaskResult', async () => {
    const answer = await peer.request('tools/call', callParams('echo', { text: 'a' }, {}));
    expect(relatedTo(answer)).toBe(answer['task'].taskId);
  });

  it('is in the response to tasks/result ("Related Task Metadata")', async () => {
    const { taskId } = await peer.start('echo', { text: 'a' });
    expect(relatedTo(await peer.result(taskId))).toBe(taskId);
    const failed = await peer.start('throw_error');
    expect(relatedTo(await peer.result(failed['taskId']))).toBe(failed['taskId']);
  });

  it('is in the progress and log notifications of a task', async () => {
    const folder = await emptyFolder();
    const { taskId } = await peer.start('report_steps', { folder, steps: 1 }, {}, 'related');
    for (const method of ['notifications/progress', 'notifications/message']) {
      const { params } = await peer.arrival((message) => message['method'] === method);
      expect(relatedTo(params)).toBe(taskId);
    }
    await peer.cancel(taskId);
  });

  it('is not in what belongs to no task: the result, progress and log of a plain call', async () => {
    const other = await Peer.connect(server);
    const result = await other.call('report_once', {}, 'plain');
    const progress = other.notifications('notifications/progress');
    const log = other.notifications('notifications/message');
    expect([progress.length, log.length]).toEqual([1, 1]);
    for (const params of [result, ...progress, ...log]) expect(relatedTo(params)).toBeUndefined();
  });
});

describe('The related-task metadata (tasks, "Associating Task-Related Messages" 2)', () => {
  it('is not in the results of tasks/get, tasks/list and tasks/cancel', async () => {
    const gate = await newGate();
    const { taskId } = await peer.start('wait_for_file', { path: gate.path });
    const got = await peer.get(taskId);
    const page = await peer.request('tasks/list');
    const cancelled = await peer.cancel(taskId);
    for (const result of [got, page, ...(page['tasks'] as Json[]), cancelled]) {
      expect(relatedTo(result)).toBeUndefined();
    }
  });

  it.each(['tasks/get', 'tasks/result', 'tasks/cancel'])(
    'is ignored in a request of %s: the taskId parameter names the task',
    async (method) => {
      const gate = await newGate();
      const other = await peer.start('echo', { text: 'another task' });
      await peer.result(other['taskId']);
      const { taskId } = await peer.start('wait_for_file', { path: gate.path });
      await peer.reached(taskId, 'running');
      const _meta = { [RELATED_TASK]: { taskId: other['taskId'] } };
      const id = peer.send(method, { taskId, _meta });
      if (method === 'tasks/result') gate.open();
      const answer = await peer.response(id);
      expect(answer['taskId'] ?? relatedTo(answer)).toBe(taskId);
      if (method === 'tasks/get') await peer.cancel(taskId);
      await expect(peer.get(other['taskId'])).resolves.toHaveProperty('status', 'completed');
    },
  );

  it('is ignored in a request of tasks/list', async () => {
    const { taskId } = await peer.start('echo', { text: 'a' });
    await peer.result(taskId);
    const _meta = { [RELATED_TASK]: { taskId: 'another' } };
    expect(await peer.request('tasks/list', { _meta })).toEqual(await peer.request('tasks/list'));
  });
});

describe('A status notification (tasks, "Task Notifications" 3)', () => {
  it('has no related-task metadata', async () => {
    const { taskId } = await peer.start('echo', { text: 'a' });
    const params = await peer.reached(taskId, 'completed');
    expect(relatedTo(params)).toBeUndefined();
  });
});
