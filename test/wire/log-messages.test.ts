import { describe, expect, it } from 'vitest';
import { serveFixtures, startRunning } from './fixtures.ts';
import { callParams, Peer, RELATED_TASK, type Json } from './peer.ts';

const server = await serveFixtures();

const messagesOf = (peer: Peer): Json[] => peer.notifications('notifications/message');

describe('A tool\'s log (tasks, "Associating Task-Related Messages" 1)', () => {
  it('reaches the client that created the task, with the tool as the logger', async () => {
    const peer = await Peer.connect(server);
    const { taskId } = await peer.start('write_logs');
    await peer.reached(taskId, 'completed');
    const _meta = { [RELATED_TASK]: { taskId } };
    expect(messagesOf(peer)).toEqual([
      { level: 'debug', logger: 'write_logs', data: 'the details', _meta },
      { level: 'warning', logger: 'write_logs', data: 'take care', _meta },
      { level: 'error', logger: 'write_logs', data: 'it broke', _meta },
    ]);
  });

  it('reaches the client that made a plain call, before its result', async () => {
    const peer = await Peer.connect(server);
    const id = peer.send('tools/call', callParams('write_logs', {}));
    await peer.response(id);
    expect(messagesOf(peer).map(({ data }) => data as string)).toEqual([
      'the details',
      'take care',
      'it broke',
    ]);
    expect(peer.messages.at(-1)).toHaveProperty('id', id);
  });

  it('leaves out what is below the level that the client has set', async () => {
    const peer = await Peer.connect(server);
    await peer.request('logging/setLevel', { level: 'error' });
    const { taskId } = await peer.start('write_logs');
    await peer.reached(taskId, 'completed');
    await peer.call('write_logs');
    expect(messagesOf(peer).map(({ level }) => level as string)).toEqual(['error', 'error']);
  });

  it('is not lost where the tool logs before anybody else has had a turn', async () => {
    const peer = await Peer.connect(server);
    const ids = Array.from({ length: 300 }, () => peer.send('tools/call', callParams('report_once', {}, {})));
    for (const id of ids) {
      const { task } = await peer.response(id);
      await peer.reached(task.taskId, 'completed');
    }
    expect(messagesOf(peer)).toHaveLength(300);
  });

  it('reaches nobody else', async () => {
    const [peer, other] = [await Peer.connect(server), await Peer.connect(server)];
    const { taskId } = await peer.start('write_logs');
    await other.result(taskId);
    expect(messagesOf(other)).toEqual([]);
  });

  it('ends with the task: what a cancelled tool logs is dropped', async () => {
    const peer = await Peer.connect(server);
    const { taskId } = await startRunning(peer, 'finish_when_aborted');
    await peer.cancel(taskId);
    await peer.call('echo', { text: 'the thread is free again' });
    expect(messagesOf(peer)).toEqual([]);
  });
});
