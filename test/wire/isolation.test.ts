import { describe, expect, it } from 'vitest';
import { newGate, serveFixtures } from './fixtures.ts';
import { Peer } from './peer.ts';

const server = await serveFixtures({
  owner: ({ authInfo }) => authInfo!.extra!['user'] as string,
  pageSize: 2,
});

const authInfoOf = (user: string) => ({ token: `of ${user}`, clientId: 'app', scopes: [], extra: { user } });
const ann = await Peer.connect(server, { authInfo: authInfoOf('ann') });
const bob = await Peer.connect(server, { authInfo: authInfoOf('bob') });

describe('A task of another authorization context (tasks, "Task Isolation and Access Control")', () => {
  it.each(['tasks/get', 'tasks/result', 'tasks/cancel'])('is rejected by %s', async (method) => {
    const gate = await newGate();
    const { taskId } = await ann.start('wait_for_file', { path: gate.path });
    await expect(bob.request(method, { taskId })).rejects.toMatchObject({ code: -32602 });
    await expect(ann.get(taskId)).resolves.toHaveProperty('status', 'working');
    gate.open();
    await ann.result(taskId);
    await expect(bob.request(method, { taskId })).rejects.toMatchObject({ code: -32602 });
  });

  it('is answered as one that does not exist, so that nothing is learnt', async () => {
    const { taskId } = await ann.start('echo', { text: 'secret' });
    const foreign = await bob.get(taskId).catch((error: unknown) => error);
    const unknown = await bob.get('no-such-task').catch((error: unknown) => error);
    expect(foreign).toEqual(unknown);
  });

  it('is not in the list', async () => {
    const mine = [await ann.start('echo', { text: 'a' })];
    const theirs = [await bob.start('echo', { text: 'b' })];
    mine.push(await ann.start('echo', { text: 'a' }), await ann.start('echo', { text: 'a' }));
    theirs.push(await bob.start('echo', { text: 'b' }), await bob.start('echo', { text: 'b' }));
    const [listedToAnn, listedToBob] = await Promise.all(
      [ann, bob].map(async (peer) => (await peer.list()).map(({ taskId }) => taskId as string)),
    );
    for (const { taskId } of mine) {
      expect(listedToAnn).toContain(taskId);
      expect(listedToBob).not.toContain(taskId);
    }
    for (const { taskId } of theirs) {
      expect(listedToBob).toContain(taskId);
      expect(listedToAnn).not.toContain(taskId);
    }
  });

  it('is not reached with a cursor of its owner', async () => {
    for (let count = 0; count < 3; count++) await ann.start('echo', { text: 'a' });
    const { nextCursor } = await ann.request('tasks/list');
    const seen = await bob.request('tasks/list', { cursor: nextCursor }).catch(() => ({ tasks: [] }));
    const own = new Set((await bob.list()).map(({ taskId }) => taskId as string));
    for (const { taskId } of seen['tasks']) expect(own).toContain(taskId);
  });

  it('is not notified', async () => {
    const { taskId } = await ann.start('report_once', {}, {}, 'token of ann');
    await ann.reached(taskId, 'completed');
    expect(bob.messages.some((message) => JSON.stringify(message).includes(taskId))).toBe(false);
    expect(bob.notifications('notifications/progress')).toEqual([]);
  });
});

describe('A task of the same authorization context', () => {
  it('is there on another connection', async () => {
    const { taskId } = await ann.start('echo', { text: 'mine' });
    const again = await Peer.connect(server, { authInfo: authInfoOf('ann') });
    await expect(again.result(taskId)).resolves.toMatchObject({ content: [{ text: 'mine' }] });
  });
});
