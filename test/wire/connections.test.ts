import { describe, expect, it } from 'vitest';
import { emptyFolder, newGate, serveFixtures } from './fixtures.ts';
import { Peer } from './peer.ts';

const lost: object[] = [];
const log = { info: () => {}, warn: (fields: object) => void lost.push(fields), error: () => {} };
const server = await serveFixtures({ threads: 2, log });

describe('Many connections to one server', () => {
  it('are served side by side', async () => {
    const peers = await Promise.all(Array.from({ length: 20 }, () => Peer.connect(server)));
    const answers = await Promise.all(
      peers.map(async (peer, index) => {
        const { taskId } = await peer.start('echo', { text: `${index}` });
        return (await peer.result(taskId))['content'][0].text as string;
      }),
    );
    expect(answers).toEqual(peers.map((_, index) => `${index}`));
  });

  it('each get the notifications of the tasks that they created, and no others', async () => {
    const [one, two] = [await Peer.connect(server), await Peer.connect(server)];
    const tasks = [
      await one.start('report_once', {}, {}, 'same'),
      await two.start('report_once', {}, {}, 'same'),
    ];
    await one.reached(tasks[0]!['taskId'], 'completed');
    await two.reached(tasks[1]!['taskId'], 'completed');
    for (const [index, peer] of [one, two].entries()) {
      const [mine, theirs] = [tasks[index]!, tasks[1 - index]!];
      expect(peer.notifications('notifications/progress')).toHaveLength(1);
      const text = JSON.stringify(peer.messages);
      expect(text).toContain(mine['taskId']);
      expect(text).not.toContain(theirs['taskId']);
    }
  });

  it('may ask for and cancel the tasks of the same owner', async () => {
    const [one, two] = [await Peer.connect(server), await Peer.connect(server)];
    const gate = await newGate();
    const { taskId } = await one.start('wait_for_file', { path: gate.path });
    const result = one.result(taskId).catch((error: unknown) => error);
    await expect(two.cancel(taskId)).resolves.toHaveProperty('status', 'cancelled');
    expect(await result).toMatchObject({ code: -32800 });
    await one.reached(taskId, 'cancelled');
  });

  it('may use the same request ids at the same time', async () => {
    const [one, two] = [await Peer.connect(server), await Peer.connect(server)];
    const answers = await Promise.all([one.call('echo', { text: '1' }), two.call('echo', { text: '2' })]);
    expect(answers.map(({ content }) => content[0].text as string)).toEqual(['1', '2']);
  });
});

describe('A connection that closes', () => {
  it('leaves its tasks running, and their results to the next connection', async () => {
    const gate = await newGate();
    const one = await Peer.connect(server);
    const { taskId } = await one.start('wait_for_file', { path: gate.path });
    await one.close();
    const two = await Peer.connect(server);
    await expect(two.get(taskId)).resolves.toHaveProperty('status', 'working');
    gate.open();
    await expect(two.result(taskId)).resolves.toHaveProperty('content');
  });

  it('is told nothing more, without a fault', async () => {
    const folder = await emptyFolder();
    const one = await Peer.connect(server);
    const { taskId } = await one.start('report_steps', { folder, steps: 2 }, {}, 'gone');
    await one.arrival(({ method }) => method === 'notifications/progress');
    await one.close();
    const count = one.messages.length;
    const two = await Peer.connect(server);
    await two.cancel(taskId);
    expect(one.messages).toHaveLength(count);
    expect(lost).toEqual([]);
  });

  it('takes the task with it that is created but not yet acknowledged, to nobody’s harm', async () => {
    const one = await Peer.connect(server);
    one.send('tools/call', {
      name: 'report_once',
      arguments: {},
      task: {},
      _meta: { progressToken: 'gone' },
    });
    await one.close();
    const two = await Peer.connect(server);
    await expect(two.call('echo', { text: 'a' })).resolves.toHaveProperty('content');
    expect(lost).toEqual([]);
  });
});
