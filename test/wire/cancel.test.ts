import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { TASK_META } from 'mcp-taskpool';
import { describe, expect, it } from 'vitest';
import { folderWith } from '../folder.ts';
import { newGate, serveFixtures, serveFixturesOnce, startRunning } from './fixtures.ts';
import { callParams, Peer } from './peer.ts';

const server = await serveFixtures({ graceMs: 200 });
const peer = await Peer.connect(server);

/** There is one thread: when it runs this, nothing else keeps it. */
const threadIsFree = () => peer.call('echo', { text: 'free' });

describe('tasks/cancel of a running task (tasks, "Task Cancellation" 2)', () => {
  it.each([
    ['awaits its signal', 'finish_when_aborted'],
    ['looks at its signal in a synchronous loop', 'spin_until_aborted'],
    ['is deaf to its signal, in `for (;;)`', 'spin'],
  ])('stops the execution of a tool that %s: the thread is free again', async (_, tool) => {
    const { taskId } = await startRunning(peer, tool);
    await expect(peer.cancel(taskId)).resolves.toMatchObject({ taskId, status: 'cancelled' });
    await threadIsFree();
  });

  it('aborts the signal of the tool', async () => {
    const [started, stopped] = [await newGate(), await newGate()];
    const args = { started: started.path, stopped: stopped.path };
    const { taskId } = await peer.start('wait_for_abort', args);
    await started.opened();
    await peer.cancel(taskId);
    await threadIsFree();
    expect(stopped.isOpen).toBe(true);
  });

  it('keeps the thread where the tool stops by itself, and replaces it where not', async () => {
    const threadOf = async (tool: string) => {
      const { taskId } = await startRunning(peer, tool);
      const { _meta } = await peer.reached(taskId, 'running');
      await peer.cancel(taskId);
      return _meta[TASK_META].thread as number;
    };
    const first = await threadOf('spin_until_aborted');
    expect(await threadOf('spin')).toBe(first);
    expect(await threadOf('spin_until_aborted')).not.toBe(first);
  });

  it('frees the shared thread of io tools for the others on it', async () => {
    const [first, second] = [
      await startRunning(peer, 'wait_on_shared_thread'),
      await startRunning(peer, 'wait_on_shared_thread'),
    ];
    await peer.cancel(first['taskId']);
    await expect(peer.get(second['taskId'])).resolves.toHaveProperty('status', 'working');
    await expect(peer.cancel(second['taskId'])).resolves.toHaveProperty('status', 'cancelled');
  });

  it('transitions the task to cancelled before the response is sent', async () => {
    const gate = await newGate();
    const { taskId } = await peer.start('wait_for_file', { path: gate.path });
    await peer.reached(taskId, 'running');
    const [cancelled, got] = await Promise.all([peer.cancel(taskId), peer.get(taskId)]);
    expect(cancelled['status']).toBe('cancelled');
    expect(got['status']).toMatch(/cancelled|working/);
    expect(await peer.get(taskId)).toEqual(cancelled);
  });

  it('says so in the statusMessage', async () => {
    const gate = await newGate();
    const { taskId } = await peer.start('wait_for_file', { path: gate.path });
    await expect(peer.cancel(taskId)).resolves.toHaveProperty(
      'statusMessage',
      'The task was cancelled by request',
    );
  });
});

describe('tasks/cancel of a task whose tool is still loading', () => {
  it('keeps the tool from running', async () => {
    const folder = await folderWith({
      loading: '',
      'load.js': `
        import { existsSync, writeFileSync } from 'node:fs';
        import { setTimeout } from 'node:timers/promises';
        import { z } from 'zod';
        import { defineTool } from 'mcp-taskpool/tool';
        const file = (name) => new URL(name, import.meta.url);
        while (!existsSync(file('loading'))) await setTimeout(5);
        export default defineTool({
          description: 'Be imported for as long as a file is missing, and leave a file when it runs',
          input: z.object({ trace: z.string() }),
          run: ({ trace }) => writeFileSync(trace, ''),
        });
      `,
    });
    const [trace, next] = [await newGate(), await newGate()];
    const other = await Peer.connect(await serveFixturesOnce({ tools: folder, graceMs: 600_000 }));
    await rm(join(folder, 'loading'));
    const { taskId } = await other.start('load', { trace: trace.path });
    await other.reached(taskId, 'running');
    await other.cancel(taskId);
    await writeFile(join(folder, 'loading'), '');
    await other.call('load', { trace: next.path });
    expect([trace.isOpen, next.isOpen]).toEqual([false, true]);
  });
});

describe('tasks/cancel of a queued task (tasks, "Task Cancellation" 2)', () => {
  it('keeps it from ever starting', async () => {
    const [gate, trace] = [await newGate(), await newGate()];
    const first = await peer.start('wait_for_file', { path: gate.path });
    const { taskId } = await peer.start('leave_trace', { trace: trace.path });
    await expect(peer.cancel(taskId)).resolves.toHaveProperty('status', 'cancelled');
    gate.open();
    await peer.result(first['taskId']);
    await threadIsFree();
    expect(trace.isOpen).toBe(false);
  });

  it('moves up those behind it', async () => {
    const gate = await newGate();
    const first = await peer.start('wait_for_file', { path: gate.path });
    const [second, third] = [
      await peer.start('echo', { text: '2' }),
      await peer.start('echo', { text: '3' }),
    ];
    await peer.reached(first['taskId'], 'running');
    await peer.cancel(second['taskId']);
    await expect(peer.get(third['taskId'])).resolves.toHaveProperty('statusMessage', 'queued, 0 ahead');
    gate.open();
    await peer.result(third['taskId']);
  });
});

describe('A cancelled task (tasks, "Task Cancellation" 3)', () => {
  it.each([
    ['completes', 'finish_when_aborted'],
    ['fails', 'spin'],
  ])('remains cancelled even if its execution %s', async (_, tool) => {
    const { taskId } = await startRunning(peer, tool);
    const cancelled = await peer.cancel(taskId);
    await threadIsFree();
    expect(await peer.get(taskId)).toEqual(cancelled);
    await expect(peer.result(taskId)).rejects.toMatchObject({ code: -32800 });
  });
});

describe('tasks/cancel of a task that has ended (tasks, "Task Cancellation" 1)', () => {
  it.each([
    ['completed', 'echo', { text: 'a' }],
    ['failed', 'throw_error', {}],
  ])('is rejected with -32602 where it is %s', async (status, tool, args) => {
    const { taskId } = await peer.start(tool, args);
    await peer.result(taskId);
    await expect(peer.cancel(taskId)).rejects.toMatchObject({
      code: -32602,
      message: `Cannot cancel task: already in terminal status '${status}'`,
    });
  });

  it('is rejected with -32602 where it is cancelled', async () => {
    const gate = await newGate();
    const { taskId } = await peer.start('wait_for_file', { path: gate.path });
    const answers = await Promise.allSettled([peer.cancel(taskId), peer.cancel(taskId)]);
    expect(answers).toMatchObject([
      { status: 'fulfilled', value: { status: 'cancelled' } },
      { status: 'rejected', reason: { code: -32602, message: expect.stringContaining("'cancelled'") } },
    ]);
    await expect(peer.cancel(taskId)).rejects.toMatchObject({ code: -32602 });
  });
});

describe('notifications/cancelled for a task-augmented call (cancellation, "Behavior Requirements" 3)', () => {
  it('does not stop the task: tasks/cancel does', async () => {
    const gate = await newGate();
    const id = peer.send('tools/call', callParams('wait_for_file', { path: gate.path }, {}));
    const { task } = await peer.response(id);
    peer.notify('notifications/cancelled', { requestId: id });
    await peer.reached(task.taskId, 'running');
    gate.open();
    await expect(peer.result(task.taskId)).resolves.toHaveProperty('content');
  });
});
