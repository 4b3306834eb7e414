import { describe, expect, it } from 'vitest';
import { serveFixtures } from './fixtures.ts';
import { Peer } from './peer.ts';

const server = await serveFixtures({ graceMs: 50 });
const peer = await Peer.connect(server);

/** Both ways to call a tool: plainly, and as a task whose result is then asked for. */
const ways: [string, (name: string, args?: object) => Promise<object>][] = [
  ['a plain call', (name, args) => peer.call(name, args)],
  ['tasks/result', async (name, args) => peer.result((await peer.start(name, args))['taskId'])],
];

describe('An unknown tool (tools, "Error Handling")', () => {
  it.each(['no_such_tool', '__proto__', 'constructor', ''])('is answered -32602: %j', async (name) => {
    await expect(peer.call(name)).rejects.toMatchObject({ code: -32602, message: `Unknown tool: ${name}` });
    await expect(peer.start(name)).rejects.toMatchObject({ code: -32602 });
  });
});

describe('Arguments that do not fit (tools, "Error Handling")', () => {
  it.each([
    ['of the wrong type', { a: 'one' }, 'a must be number'],
    ['out of range', { a: 1001 }, 'a must be <= 1000'],
    ['that is missing', {}, "must have required property 'a'"],
  ])('give an isError result that names the field %s', async (_, args, problem) => {
    const { isError, content } = await peer.call('add', args);
    expect(isError).toBe(true);
    expect(content).toEqual([{ type: 'text', text: expect.stringContaining(problem) }]);
    expect(content[0].text).toMatch(/^Invalid arguments for tool add: /);
  });

  it('name every field that is wrong', async () => {
    const { content } = await peer.call('add', { a: 'one', b: null });
    expect(content[0].text).toContain('a must be number');
    expect(content[0].text).toContain('b must be number');
  });

  it('are refused before a task exists', async () => {
    const before = await peer.list();
    const answer = await peer.request('tools/call', { name: 'add', arguments: { a: 'one' }, task: {} });
    expect(answer).toMatchObject({
      isError: true,
      content: [{ text: expect.stringContaining('a must be') }],
    });
    expect(answer).not.toHaveProperty('task');
    expect(await peer.list()).toEqual(before);
  });

  it('are refused before a task exists where they are in a tuple', async () => {
    const answer = await peer.request('tools/call', {
      name: 'take_tuple',
      arguments: { point: [1, 'two'] },
      task: {},
    });
    expect(answer).toMatchObject({ isError: true, content: [{ text: expect.stringContaining('point.1') }] });
  });
});

describe('Arguments that fit', () => {
  it('may leave out what has a default', async () => {
    await expect(peer.call('add', { a: 41 })).resolves.toMatchObject({ structuredContent: { sum: 42 } });
  });

  it('may be left out where none is required', async () => {
    await expect(peer.request('tools/call', { name: 'report_once' })).resolves.toHaveProperty('content');
  });

  it('may be a tuple', async () => {
    const { content } = await peer.call('take_tuple', { point: [1, 2] });
    expect(content).toEqual([{ type: 'text', text: '1,2' }]);
  });

  it('may be a tuple with a rest', async () => {
    const { content } = await peer.call('take_tuple', { point: [1, 2], labels: [1, 'one', 'more'] });
    expect(content).toEqual([{ type: 'text', text: '1,2' }]);
  });
});

describe.each(ways)('A tool at fault, seen by %s (tools, "Error Handling")', (_, answer) => {
  it('that throws gives an isError result with its message', async () => {
    await expect(answer('throw_error', { message: 'no such city' })).resolves.toMatchObject({
      isError: true,
      content: [{ type: 'text', text: 'no such city' }],
    });
  });

  it('that returns an isError result has it passed on', async () => {
    await expect(answer('return_error')).resolves.toMatchObject({
      isError: true,
      content: [{ type: 'text', text: 'no such city' }],
    });
  });

  it('whose output does not match its schema gives an isError result that names the field', async () => {
    const result = await answer('break_output');
    expect(result).toMatchObject({ isError: true, content: [{ text: expect.stringContaining('count') }] });
    expect(result).not.toHaveProperty('structuredContent');
  });

  it('that takes too long gives a JSON-RPC error, and its thread is free again', async () => {
    await expect(answer('time_out')).rejects.toMatchObject({
      code: -32001,
      message: /timed out after 50 ms/,
    });
    await expect(answer('echo', { text: 'next' })).resolves.toHaveProperty('content');
  });

  it('that ends its thread gives the JSON-RPC error -32603, and another thread serves the next call', async () => {
    await expect(answer('exit_thread')).rejects.toMatchObject({
      code: -32603,
      message: /exited with code 7/,
    });
    await expect(answer('echo', { text: 'next' })).resolves.toHaveProperty('content');
  });
});

describe('A task whose tool is at fault (tasks, "Task Execution Errors")', () => {
  it.each([
    ['throws', 'throw_error', 'the tool failed'],
    ['returns an isError result', 'return_error', 'no such city'],
    ['does not match its output schema', 'break_output', 'count'],
    ['takes too long', 'time_out', 'timed out after 50 ms'],
    ['ends its thread', 'exit_thread', 'exited with code 7'],
  ])('fails, with a statusMessage that says why, when the tool %s', async (_, tool, why) => {
    const { taskId } = await peer.start(tool);
    await peer.reached(taskId, 'failed');
    await expect(peer.get(taskId)).resolves.toMatchObject({
      status: 'failed',
      statusMessage: expect.stringContaining(why),
    });
  });
});
