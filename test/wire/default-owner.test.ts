import { describe, expect, it } from 'vitest';
import { serveFixtures } from './fixtures.ts';
import { Peer } from './peer.ts';

const server = await serveFixtures();

async function sees(other: Peer, owner: Peer): Promise<boolean> {
  const { taskId } = await owner.start('echo', { text: 'a' });
  const got = await other.get(taskId).then(
    () => true,
    () => false,
  );
  const listed = (await other.list()).some((task) => task['taskId'] === taskId);
  expect(listed).toBe(got);
  return got;
}

/** What a transport that checks access tokens finds in one. */
const token = (clientId: string, sub: string) => ({
  token: `${clientId} of ${sub}`,
  clientId,
  scopes: [],
  extra: { sub },
});

describe('Without the `owner` option a task is bound (tasks, "Task Isolation and Access Control")', () => {
  it('to the client of the access token', async () => {
    const one = await Peer.connect(server, { authInfo: token('one', 'ann') });
    const two = await Peer.connect(server, { authInfo: token('two', 'ann') });
    expect(await sees(two, one)).toBe(false);
  });

  it('to the user of the access token: two users of one client do not see each other', async () => {
    const ann = await Peer.connect(server, { authInfo: token('app', 'ann') });
    const bob = await Peer.connect(server, { authInfo: token('app', 'bob') });
    expect(await sees(bob, ann)).toBe(false);
  });

  it('to the access token rather than the session', async () => {
    const authInfo = token('app', 'ann');
    const one = await Peer.connect(server, { authInfo, sessionId: '1' });
    const two = await Peer.connect(server, { authInfo, sessionId: '2' });
    expect(await sees(two, one)).toBe(true);
  });

  it('to the session where there is no access token', async () => {
    const one = await Peer.connect(server, { sessionId: '1' });
    const two = await Peer.connect(server, { sessionId: '2' });
    expect(await sees(two, one)).toBe(false);
    expect(await sees(one, await Peer.connect(server, { sessionId: '1' }))).toBe(true);
  });

  it('to nobody in particular where there is neither, as over stdio', async () => {
    const one = await Peer.connect(server);
    const two = await Peer.connect(server);
    expect(await sees(two, one)).toBe(true);
    expect(await sees(await Peer.connect(server, { sessionId: '1' }), one)).toBe(false);
  });

  it('to no session or client that is only named like another', async () => {
    const session = await Peer.connect(server, { sessionId: 'local' });
    const client = await Peer.connect(server, { authInfo: token('local', 'local') });
    const none = await Peer.connect(server);
    expect(await sees(none, session)).toBe(false);
    expect(await sees(none, client)).toBe(false);
    expect(await sees(session, client)).toBe(false);
  });
});
