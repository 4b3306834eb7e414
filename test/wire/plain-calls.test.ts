import { describe, expect, it } from 'vitest';
import { callRunning, newGate, serveFixtures, startRunning } from './fixtures.ts';
import { callParams, Peer, type Json } from './peer.ts';

const server = await serveFixtures({ graceMs: 200 });
const peer = await Peer.connect(server);

const answered = (id: number) => peer.messages.some((message) => message['id'] === id);

describe('A call without a task', () => {
  it('is answered with its result', async () => {
    await expect(peer.call('add', { a: 1, b: 2 })).resolves.toMatchObject({
      structuredContent: { sum: 3 },
      content: [{ type: 'text', text: '{"sum":3}' }],
    });
  });

  it('does not keep others waiting: ping, tools/list and calls of io tools are answered meanwhile', async () => {
    const id = await callRunning(peer, 'spin');
    await expect(peer.request('ping')).resolves.toEqual({});
    await expect(peer.request('tools/list')).resolves.toHaveProperty('tools');
    const { taskId } = await startRunning(peer, 'wait_on_shared_thread');
    await expect(peer.cancel(taskId)).resolves.toHaveProperty('status', 'cancelled');
    expect(answered(id)).toBe(false);
    peer.notify('notifications/cancelled', { requestId: id });
    await peer.call('echo', { text: 'free' });
  });

  it('reports progress with its token, before its result and never after it', async () => {
    const id = peer.send('tools/call', callParams('flood_progress', { times: 100_000 }, undefined, 'plain'));
    await peer.response(id);
    await peer.call('echo', { text: 'free' });
    const indices = peer.messages.flatMap(({ method, params }, index) =>
      method === 'notifications/progress' && (params as Json)['progressToken'] === 'plain' ? [index] : [],
    );
    expect(indices.length).toBeGreaterThan(0);
    expect(indices.at(-1)).toBeLessThan(peer.messages.findIndex((message) => message['id'] === id));
  });
});

describe('notifications/cancelled (cancellation, "Behavior Requirements" 4)', () => {
  it.each([
    ['that awaits its signal', 'finish_when_aborted'],
    ['that looks at its signal in a loop', 'spin_until_aborted'],
    ['that is deaf to its signal', 'spin'],
  ])('stops a call of a tool %s: the thread is free again, and no response is sent', async (_, tool) => {
    const id = await callRunning(peer, tool);
    peer.notify('notifications/cancelled', { requestId: id, reason: 'the user asked for it' });
    await peer.call('echo', { text: 'free' });
    expect(answered(id)).toBe(false);
    expect(server.load).toEqual({ queued: 0, running: 0 });
  });

  it('keeps a call that waits for a thread from ever starting', async () => {
    const [gate, trace] = [await newGate(), await newGate()];
    const first = peer.call('wait_for_file', { path: gate.path });
    const id = peer.send('tools/call', callParams('leave_trace', { trace: trace.path }));
    peer.notify('notifications/cancelled', { requestId: id });
    await peer.request('ping');
    gate.open();
    await first;
    await peer.call('echo', { text: 'free' });
    expect(trace.isOpen).toBe(false);
    expect(answered(id)).toBe(false);
  });

  it('is followed by no progress', async () => {
    const id = await callRunning(peer, 'finish_when_aborted', 'late');
    peer.notify('notifications/cancelled', { requestId: id });
    await peer.call('echo', { text: 'free' });
    expect(
      peer.notifications('notifications/progress').map(({ progressToken }) => progressToken),
    ).not.toContain('late');
  });

  it.each([
    ['of an unknown request', { requestId: 999_999 }],
    ['of a request that has been answered', { requestId: 1 }],
    ['that is malformed', { reason: 'no request is named' }],
  ])('is ignored where it is %s', async (_, params) => {
    peer.notify('notifications/cancelled', params);
    await expect(peer.call('echo', { text: 'a' })).resolves.toHaveProperty('content');
  });
});

describe('A call whose connection closes', () => {
  it('is stopped: the thread is free again', async () => {
    const other = await Peer.connect(server);
    await callRunning(other, 'spin');
    await other.close();
    await expect(peer.call('echo', { text: 'free' })).resolves.toHaveProperty('content');
  });
});
