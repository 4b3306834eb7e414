import { describe, expect, it } from 'vitest';
import { newGate, serveFixtures, until } from './fixtures.ts';
import { Peer, type Json } from './peer.ts';

const lines: Json[] = [];
const line = (level: string) => (fields: object, message: string) =>
  lines.push({ level, message, ...fields });

const server = await serveFixtures({
  owner: ({ authInfo }) => `user ${authInfo!.clientId}`,
  log: { info: line('info'), warn: line('warn'), error: line('error') },
  maxQueuedPerOwner: 1,
  maxLookUpMisses: 3,
});

const connect = (clientId: string) =>
  Peer.connect(server, { authInfo: { token: 'secret', clientId, scopes: [] } });

/** What the log says of a task, in its order. */
const linesOf = (taskId: string) => lines.filter((line) => line['taskId'] === taskId);

describe('The log (tasks, "Audit and Logging")', () => {
  it('has the creation, the end and the retrieval of a task, each with its authorization context', async () => {
    const peer = await connect('ann');
    const { taskId } = await peer.start('echo', { text: 'a' });
    await peer.result(taskId);
    expect(linesOf(taskId)).toEqual([
      { level: 'info', message: 'task created', taskId, owner: 'user ann', tool: 'echo' },
      {
        level: 'info',
        message: 'task ended',
        taskId,
        owner: 'user ann',
        tool: 'echo',
        state: 'completed',
        ranMs: expect.any(Number),
      },
      { level: 'info', message: 'result retrieved', taskId, owner: 'user ann' },
    ]);
  });

  it.each([
    ['failed', 'throw_error'],
    ['cancelled', 'wait_for_file'],
  ])('says in which state a task has ended: %s', async (state, tool) => {
    const peer = await connect('ann');
    const { taskId } = await peer.start(tool, { path: (await newGate()).path });
    if (state === 'cancelled') await peer.cancel(taskId);
    else await peer.reached(taskId, 'failed');
    expect(linesOf(taskId)).toContainEqual(
      expect.objectContaining({ message: 'task ended', state, owner: 'user ann' }),
    );
  });

  it('says that a task has expired, with its authorization context', async () => {
    const peer = await connect('ann');
    const { taskId } = await peer.start('echo', { text: 'a' }, { ttl: 300 });
    const expired = () => linesOf(taskId).find(({ message }) => message === 'task expired');
    await until(() => expired() !== undefined);
    expect(expired()).toMatchObject({ level: 'info', owner: 'user ann' });
  });

  it('has no arguments, results or tokens of the callers', async () => {
    const peer = await connect('ann');
    const { taskId } = await peer.start('echo', { text: 'my password' });
    await peer.result(taskId);
    expect(JSON.stringify(lines)).not.toMatch(/my password|secret/);
  });

  it('warns of many look-ups of unknown tasks, once, with the authorization context', async () => {
    const peer = await connect('mallory');
    for (let miss = 0; miss < 6; miss++) await peer.get(crypto.randomUUID()).catch(() => {});
    const warnings = lines.filter(({ level, owner }) => level === 'warn' && owner === 'user mallory');
    expect(warnings).toEqual([
      expect.objectContaining({ message: 'too many requests for unknown tasks', misses: 3 }),
    ]);
  });

  it('warns of a requestor that has too many tasks waiting', async () => {
    const peer = await connect('eve');
    const gate = await newGate();
    for (let count = 0; count < 2; count++) await peer.start('wait_for_file', { path: gate.path });
    await peer.start('echo', { text: 'a' }).catch(() => {});
    expect(lines).toContainEqual(
      expect.objectContaining({ level: 'warn', owner: 'user eve', tool: 'echo', limit: 1 }),
    );
  });
});
