import { describe, expect, it } from 'vitest';
import { emptyFolder, newGate, serveFixtures } from './fixtures.ts';
import { callParams, Peer, RELATED_TASK, type Json } from './peer.ts';

const server = await serveFixtures();
const peer = await Peer.connect(server);

describe('initialize (tasks, "Capabilities")', () => {
  it('declares the `tasks` capability, with list, cancel and task-augmented tools/call', async () => {
    const silent = await Peer.connect(server, { silent: true });
    const { capabilities, protocolVersion } = await silent.initialize();
    expect(protocolVersion).toBe('2025-11-25');
    expect(capabilities['tasks']).toEqual({ list: {}, cancel: {}, requests: { tools: { call: {} } } });
  });

  it('declares the tools and logging capabilities', async () => {
    const silent = await Peer.connect(server, { silent: true });
    const { capabilities } = await silent.initialize();
    expect(capabilities).toMatchObject({ tools: {}, logging: {} });
  });

  it('answers the operations that it has declared', async () => {
    const gate = await newGate();
    const { taskId } = await peer.start('wait_for_file', { path: gate.path });
    await expect(peer.request('tasks/list')).resolves.toHaveProperty('tasks');
    await expect(peer.cancel(taskId)).resolves.toHaveProperty('status', 'cancelled');
  });
});

describe('tools/list (tools, "Listing Tools"; tasks, "Tool-Level Negotiation")', () => {
  it('gives each tool its description, JSON Schemas, title, annotations and task support', async () => {
    const { tools } = await peer.request('tools/list');
    expect(toolNamed(tools, 'add')).toEqual({
      name: 'add',
      title: 'Addition',
      description: 'Add two numbers',
      annotations: { readOnlyHint: true },
      inputSchema: {
        $schema: 'http://json-schema.org/draft-07/schema#',
        type: 'object',
        properties: { a: { type: 'number', maximum: 1000 }, b: { type: 'number', default: 1 } },
        required: ['a'],
      },
      outputSchema: {
        $schema: 'http://json-schema.org/draft-07/schema#',
        type: 'object',
        properties: { sum: { type: 'number' } },
        required: ['sum'],
        additionalProperties: false,
      },
      execution: { taskSupport: 'optional' },
    });
  });

  it.each([
    ['echo', 'optional'],
    ['only_as_task', 'required'],
    ['never_as_task', 'forbidden'],
  ])('declares through execution.taskSupport of %s that a task is %s', async (name, taskSupport) => {
    const { tools } = await peer.request('tools/list');
    expect(toolNamed(tools, name)['execution']).toEqual({ taskSupport });
  });
});

describe('tools/call (tasks, "Tool-Level Negotiation")', () => {
  it('answers -32601 to a call as a task of a tool that forbids it, and does not run it', async () => {
    const trace = await newGate();
    const call = peer.start('never_as_task', { trace: trace.path });
    await expect(call).rejects.toMatchObject({ code: -32601, message: /never_as_task/ });
    // Whatever ran before it has run by now: there is one thread.
    await peer.call('echo', { text: 'after' });
    expect(trace.isOpen).toBe(false);
  });

  it('answers -32601 to a call without a task of a tool that requires one', async () => {
    await expect(peer.call('only_as_task')).rejects.toMatchObject({ code: -32601, message: /only_as_task/ });
  });

  it('lets a tool with optional support be called either way', async () => {
    const { content } = await peer.call('echo', { text: 'hello' });
    expect(content).toEqual([{ type: 'text', text: 'hello' }]);
    const { taskId } = await peer.start('echo', { text: 'hello' });
    await expect(peer.result(taskId)).resolves.toHaveProperty('content', content);
  });

  it('runs a required tool as a task, and a forbidden one without', async () => {
    const { taskId } = await peer.start('only_as_task');
    await expect(peer.result(taskId)).resolves.toMatchObject({ content: [{ text: 'ran' }] });
    await expect(peer.call('never_as_task')).resolves.toMatchObject({ content: [{ text: 'ran' }] });
  });

  it('prefixes no error message with an error code', async () => {
    const error = await peer.call('only_as_task').catch((error: Error) => error);
    expect((error as Error).message).not.toContain('MCP error');
  });
});

describe('A request of a type without task support (tasks, "Task Support and Handling" 1)', () => {
  it.each(['ping', 'tools/list', 'tasks/list'])(
    'is processed normally where it has task metadata: %s',
    async (method) => {
      const plain = await peer.request(method);
      await expect(peer.request(method, { task: { ttl: 1000 } })).resolves.toEqual(plain);
    },
  );
});

describe('The related-task metadata of a request (tasks, "Associating Task-Related Messages" 2)', () => {
  it('does not keep a plain call from reporting progress', async () => {
    const folder = await emptyFolder();
    const params = callParams('report_steps', { folder, steps: 0 }, undefined, 'token');
    params['_meta'][RELATED_TASK] = { taskId: 'a task of the client' };
    await expect(peer.request('tools/call', params)).resolves.toHaveProperty('content');
    params['name'] = 'report_once';
    await peer.request('tools/call', params);
    expect(peer.notifications('notifications/progress')).toMatchObject([{ progressToken: 'token' }]);
  });
});

function toolNamed(tools: Json[], name: string): Json {
  return tools.find((tool) => tool['name'] === name)!;
}
