import { MemoryStore, type Task } from 'mcp-taskpool';
import { describe, expect, it } from 'vitest';
import { serveFixtures, serveFixturesOnce } from './fixtures.ts';
import { Peer } from './peer.ts';

const server = await serveFixtures();
const peer = await Peer.connect(server);

describe('A malformed request (tools, "Error Handling"; tasks, "Protocol Errors")', () => {
  it.each([
    ['tools/call', undefined, 'params'],
    ['tools/call', {}, 'params.name'],
    ['tools/call', { name: 1 }, 'params.name'],
    ['tools/call', { name: 'echo', arguments: 'text' }, 'params.arguments'],
    ['tools/call', { name: 'echo', arguments: { text: 'a' }, task: true }, 'params.task'],
    ['tools/call', { name: 'echo', arguments: { text: 'a' }, task: { ttl: 'long' } }, 'params.task.ttl'],
    ['tools/call', { name: 'echo', arguments: { text: 'a' }, task: { ttl: 0 } }, 'params.task.ttl'],
    ['tools/call', { name: 'echo', arguments: { text: 'a' }, task: { ttl: -1 } }, 'params.task.ttl'],
    ['tasks/get', undefined, 'params'],
    ['tasks/get', {}, 'params.taskId'],
    ['tasks/result', { taskId: 1 }, 'params.taskId'],
    ['tasks/cancel', { taskId: null }, 'params.taskId'],
    ['tasks/list', { cursor: 1 }, 'params.cursor'],
  ])('is answered -32602 with a message that names the field: %s %j', async (method, params, field) => {
    const error = await peer.request(method, params).catch((error: unknown) => error);
    expect(error).toMatchObject({ code: -32602 });
    expect((error as Error).message).toMatch(new RegExp(`^${field}: \\S`));
  });

  it('creates no task', async () => {
    const before = await peer.list();
    await peer
      .request('tools/call', { name: 'echo', arguments: { text: 'a' }, task: { ttl: 0 } })
      .catch(() => {});
    expect(await peer.list()).toEqual(before);
  });
});

describe('An unknown task (tasks, "Protocol Errors")', () => {
  it.each(['tasks/get', 'tasks/result', 'tasks/cancel'])(
    'is answered -32602 to %s, informatively',
    async (method) => {
      for (const taskId of ['no-such-task', '', '__proto__', '786512e2-9e0d-44bd-8f29-789f320fe840']) {
        await expect(peer.request(method, { taskId })).rejects.toMatchObject({
          code: -32602,
          message: /Task not found/,
        });
      }
    },
  );
});

describe('An unknown cursor (tasks, "Protocol Errors")', () => {
  it.each(['', 'nonsense', '0', 'czA', 'czk5OTk5OQ', 'czE='])('is answered -32602: %j', async (cursor) => {
    await expect(peer.request('tasks/list', { cursor })).rejects.toMatchObject({
      code: -32602,
      message: /cursor/i,
    });
  });
});

describe('A fault of the server itself (tasks, "Protocol Errors")', () => {
  class FullStore extends MemoryStore {
    full = true;
    override async create(task: Task): Promise<void> {
      if (this.full) throw new Error('the disk is full');
      await super.create(task);
    }
  }

  it('is answered -32603', async () => {
    const other = await Peer.connect(await serveFixturesOnce({ store: new FullStore() }));
    await expect(other.start('echo', { text: 'a' })).rejects.toMatchObject({ code: -32603 });
  });

  it('leaves no trace of a task that the store did not take', async () => {
    const store = new FullStore();
    const other = await Peer.connect(await serveFixturesOnce({ store, maxQueuedPerOwner: 1 }));
    await other.start('echo', { text: 'a' }).catch(() => {});
    store.full = false;
    expect(await other.list()).toEqual([]);
    await expect(other.start('echo', { text: 'a' })).resolves.toHaveProperty('taskId');
  });
});
