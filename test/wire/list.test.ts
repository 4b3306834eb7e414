import { describe, expect, it } from 'vitest';
import { newGate, serveFixtures, serveFixturesOnce } from './fixtures.ts';
import { Peer, type Json } from './peer.ts';

const server = await serveFixtures({ pageSize: 3 });

/** A client of a session of its own, and so with no task at first. */
const connect = () => Peer.connect(server, { sessionId: crypto.randomUUID() });

async function startMany(peer: Peer, count: number): Promise<string[]> {
  const taskIds: string[] = [];
  for (let index = 0; index < count; index++) {
    taskIds.push((await peer.start('echo', { text: `${index}` }))['taskId']);
  }
  return taskIds;
}

const idsOf = (tasks: Json[]): string[] => tasks.map(({ taskId }) => taskId as string);

describe('tasks/list (tasks, "Task Listing")', () => {
  it('limits the number of tasks in a response, with a cursor to go on', async () => {
    const peer = await connect();
    const taskIds = await startMany(peer, 7);
    const first = await peer.request('tasks/list');
    expect(idsOf(first['tasks'])).toEqual(taskIds.slice(0, 3));
    const second = await peer.request('tasks/list', { cursor: first['nextCursor'] });
    expect(idsOf(second['tasks'])).toEqual(taskIds.slice(3, 6));
    const third = await peer.request('tasks/list', { cursor: second['nextCursor'] });
    expect(idsOf(third['tasks'])).toEqual(taskIds.slice(6));
  });

  it.each([
    [0, false],
    [3, false],
    [4, true],
  ])('includes a nextCursor exactly where more tasks are available: of %j', async (count, more) => {
    const peer = await connect();
    await startMany(peer, count);
    const page = await peer.request('tasks/list');
    expect('nextCursor' in page).toBe(more);
  });

  it('lists every task that tasks/get retrieves, in whatever state', async () => {
    const peer = await connect();
    const gate = await newGate();
    const completed = await peer.start('echo', { text: 'a' });
    const failed = await peer.start('throw_error');
    await Promise.all([peer.result(completed['taskId']), peer.result(failed['taskId'])]);
    const running = await peer.start('wait_for_file', { path: gate.path });
    const cancelled = await peer.start('echo', { text: 'b' });
    await peer.cancel(cancelled['taskId']);
    const queued = await peer.start('echo', { text: 'c' });
    await peer.reached(running['taskId'], 'running');

    const tasks = [completed, failed, running, cancelled, queued];
    const got = await Promise.all(tasks.map(({ taskId }) => peer.get(taskId)));
    expect(await peer.list()).toEqual(got);
    expect(got.map(({ status }) => status)).toEqual([
      'completed',
      'failed',
      'working',
      'cancelled',
      'working',
    ]);
    gate.open();
    await peer.result(queued['taskId']);
  });

  it('gives the same page for the same cursor, and shows what has come since on the later ones', async () => {
    const peer = await connect();
    const taskIds = await startMany(peer, 4);
    const { nextCursor } = await peer.request('tasks/list');
    taskIds.push(...(await startMany(peer, 2)));
    const page = await peer.request('tasks/list', { cursor: nextCursor });
    expect(idsOf(page['tasks'])).toEqual(taskIds.slice(3));
    expect(idsOf((await peer.request('tasks/list', { cursor: nextCursor }))['tasks'])).toEqual(
      taskIds.slice(3),
    );
  });

  it('does not list plain calls', async () => {
    const peer = await connect();
    await peer.call('echo', { text: 'a' });
    expect(await peer.list()).toEqual([]);
  });

  it('gives 50 tasks a page by default', async () => {
    const peer = await Peer.connect(await serveFixturesOnce());
    await startMany(peer, 51);
    const { tasks, nextCursor } = await peer.request('tasks/list');
    expect(tasks).toHaveLength(50);
    expect(nextCursor).toBeTypeOf('string');
  });
});
