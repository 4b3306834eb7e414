import { TASK_META } from 'mcp-taskpool';
import { describe, expect, it } from 'vitest';
import { newGate, serveFixtures } from './fixtures.ts';
import { Peer, RELATED_TASK, type Json } from './peer.ts';

const server = await serveFixtures({ graceMs: 50 });
const peer = await Peer.connect(server);

/** A result or an error, without what differs from run to run. */
async function settled(answer: Promise<Json>): Promise<Json> {
  try {
    const { _meta, ...result } = await answer;
    const own = Object.entries((_meta ?? {}) as Json).filter(
      ([key]) => ![RELATED_TASK, TASK_META].includes(key),
    );
    return { result, own };
  } catch (error) {
    const { code, message, data } = error as Json;
    return { code, message, data };
  }
}

describe('tasks/result of a task that has ended (tasks, "Result Retrieval" 2 and 4)', () => {
  it.each([
    ['returns a text', 'echo', { text: 'hello' }],
    ['returns structured content', 'add', { a: 1, b: 2 }],
    ['returns a full result with metadata', 'return_everything', {}],
    ['returns an isError result', 'return_error', {}],
    ['throws', 'throw_error', {}],
    ['breaks its output schema', 'break_output', {}],
    ['takes too long', 'time_out', {}],
    ['ends its thread', 'exit_thread', {}],
  ])('is exactly what the call would have returned, where the tool %s', async (_, tool, args) => {
    const { taskId } = await peer.start(tool, args);
    await settled(peer.result(taskId));
    expect(await settled(peer.result(taskId))).toEqual(await settled(peer.call(tool, args)));
  });

  it('keeps the metadata of the result itself', async () => {
    const { taskId } = await peer.start('return_everything');
    const { _meta } = await peer.result(taskId);
    expect(_meta).toMatchObject({ 'example.com/cost': 3, [RELATED_TASK]: { taskId } });
  });

  it('is a JSON-RPC error where the call ended in one (tasks, "Task Execution Errors")', async () => {
    const { taskId } = await peer.start('time_out');
    await peer.reached(taskId, 'failed');
    await expect(peer.result(taskId)).rejects.toMatchObject({ code: -32001 });
  });

  it('is a successful response where the call gave a result, be it isError (tasks, "Task Execution Errors")', async () => {
    const { taskId } = await peer.start('throw_error');
    await peer.reached(taskId, 'failed');
    await expect(peer.result(taskId)).resolves.toMatchObject({ isError: true });
  });

  it('is a JSON-RPC error, at once, where the task was cancelled', async () => {
    const gate = await newGate();
    const { taskId } = await peer.start('wait_for_file', { path: gate.path });
    await peer.cancel(taskId);
    await expect(peer.result(taskId)).rejects.toMatchObject({ code: -32800, message: /cancelled/ });
  });
});

describe('tasks/result of a task that has not ended (tasks, "Result Retrieval" 3)', () => {
  it('blocks until the task completes', async () => {
    const gate = await newGate();
    const { taskId } = await peer.start('wait_for_file', { path: gate.path });
    const id = peer.send('tasks/result', { taskId });
    await peer.reached(taskId, 'running');
    await expect(peer.get(taskId)).resolves.toHaveProperty('status', 'working');
    expect(peer.messages.some((message) => message['id'] === id)).toBe(false);
    gate.open();
    await expect(peer.response(id)).resolves.toMatchObject({ content: [{ text: 'the file exists' }] });
  });

  it('blocks while the task is queued too', async () => {
    const gate = await newGate();
    await peer.start('wait_for_file', { path: gate.path });
    const { taskId } = await peer.start('echo', { text: 'at last' });
    const id = peer.send('tasks/result', { taskId });
    await peer.get(taskId);
    expect(peer.messages.some((message) => message['id'] === id)).toBe(false);
    gate.open();
    await expect(peer.response(id)).resolves.toMatchObject({ content: [{ text: 'at last' }] });
  });

  it('is answered when the task is cancelled', async () => {
    const gate = await newGate();
    const { taskId } = await peer.start('wait_for_file', { path: gate.path });
    const result = peer.result(taskId).catch((error: unknown) => error);
    await peer.cancel(taskId);
    expect(await result).toMatchObject({ code: -32800 });
  });

  it('answers everybody who waits', async () => {
    const gate = await newGate();
    const { taskId } = await peer.start('wait_for_file', { path: gate.path });
    const results = Array.from({ length: 20 }, () => peer.result(taskId));
    gate.open();
    const [first, ...others] = await Promise.all(results);
    for (const other of others) expect(other).toEqual(first);
  });

  it('does not end the task when the request is cancelled; only tasks/cancel does', async () => {
    const gate = await newGate();
    const { taskId } = await peer.start('wait_for_file', { path: gate.path });
    const id = peer.send('tasks/result', { taskId });
    await peer.reached(taskId, 'running');
    peer.notify('notifications/cancelled', { requestId: id });
    await expect(peer.get(taskId)).resolves.toHaveProperty('status', 'working');
    gate.open();
    await expect(peer.result(taskId)).resolves.toMatchObject({ content: [{ text: 'the file exists' }] });
    expect(peer.messages.some((message) => message['id'] === id)).toBe(false);
  });
});
