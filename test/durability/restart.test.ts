import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import type { TaskClient, ToolTask } from 'mcp-taskpool/client';
import { describe, expect, it } from 'vitest';
import { until } from '../wire/fixtures.ts';
import type { Json } from '../wire/peer.ts';
import { Site } from './instance.ts';
import { SHORT_MS } from './tools.ts';

/** By how much the clock by which tasks expire may differ from that of the machine, from one process to the next. */
const CLOCKS_MS = 20;
const INTERRUPTED = 'interrupted: the server stopped while the task was running';

/** The id, once the server has acknowledged it. */
async function idOf(task: ToolTask): Promise<string> {
  return (await task.created())!;
}

/** Starts a task that runs until its gate is opened, and waits until it does. */
async function running(site: Site, client: TaskClient, tool = 'wait'): Promise<string> {
  const args = { trace: site.path('trace'), gate: site.path('gate'), mark: 'the mark of this task' };
  const taskId = await idOf(client.startTask(tool, args));
  await until(() => site.lines('trace').length === 1);
  return taskId;
}

/** Gives the error that a task is unknown with, once it is. */
async function untilGone(client: TaskClient, taskId: string): Promise<unknown> {
  for (;;) {
    const error = await client
      .task(taskId)
      .status()
      .then(
        () => undefined,
        (error: unknown) => error,
      );
    if (error !== undefined) return error;
  }
}

/** Whether the file of the tasks has these bytes, or its log. */
function isKept(site: Site, text: string): boolean {
  return [site.file, `${site.file}-wal`].some(
    (path) => existsSync(path) && readFileSync(path).includes(text),
  );
}

describe.each(['2025-11-25', '2026-07-28'] as const)(
  'A server that was killed and started again, in %s',
  (protocol) => {
    const open = async () => {
      const site = await Site.open();
      const start = async () => {
        const server = site.start();
        return { server, client: await server.client({ protocol }) };
      };
      return { site, start };
    };

    it('fails what was running, in these words, and runs what was queued', async () => {
      const { site, start } = await open();
      const { server, client } = await start();
      const interrupted = await running(site, client);
      const queued = await Promise.all([1, 2, 3].map(() => idOf(client.startTask('quick'))));
      await server.kill();
      const { client: next } = await start();
      await expect(next.task(interrupted).result()).rejects.toMatchObject({
        code: -32603,
        message: INTERRUPTED,
      });
      expect(await next.task(interrupted).status()).toMatchObject({
        status: 'failed',
        statusMessage: INTERRUPTED,
      });
      for (const taskId of queued) expect((await next.task(taskId).result()).data).toBe('quick');
      expect(site.lines('trace')).toEqual(['start 1']);
    });

    it('runs again what is idempotent, from its checkpoint', async () => {
      const { site, start } = await open();
      const { server, client } = await start();
      const taskId = await running(site, client, 'wait_safely');
      await until(() => isKept(site, '"checkpoint":{'));
      await server.kill();
      const { client: next } = await start();
      await until(() => site.lines('trace').length === 2);
      expect((await next.task(taskId).status()).statusMessage).toContain(`attempt 2`);
      writeFileSync(site.path('gate2'), '');
      const { data } = await next.task(taskId).result();
      expect(data).toEqual({ attempt: 2, checkpointed: { mark: 'the mark of this task' } });
      expect(site.lines('trace')).toEqual(['start 1', 'start 2', 'end 2']);
    });

    it('answers for what has ended as before, until its ttl', async () => {
      const { start } = await open();
      const { server, client } = await start();
      const long = client.startTask('quick');
      const short = client.startTask('short_lived');
      const [{ raw }] = await Promise.all([long, short]);
      const [longId, shortId] = [await idOf(long), await idOf(short)];
      const [before, { createdAt }] = await Promise.all([long.status(), short.status()]);
      await server.kill();
      const { client: next } = await start();
      expect(await next.task(longId).status()).toEqual(before);
      expect((await next.task(longId).result()).raw).toEqual(raw);
      const error = await untilGone(next, shortId);
      expect(Date.now() - Date.parse(createdAt)).toBeGreaterThanOrEqual(SHORT_MS - CLOCKS_MS);
      expect(error).toMatchObject({ code: -32602 });
    });

    it('gives the task that has the key, and no other', async () => {
      const { site, start } = await open();
      const { server, client } = await start();
      const args = { trace: site.path('trace'), line: 'once' };
      const first = client.startTask('trace', args, { idempotencyKey: 'the key' });
      await first;
      await server.kill();
      const { client: next } = await start();
      const again = next.startTask('trace', args, { idempotencyKey: 'the key' });
      expect((await again).data).toEqual({ line: 'once' });
      expect(await idOf(again)).toBe(await idOf(first));
      expect(site.lines('trace')).toEqual(['once']);
    });

    it('does not try a third time what has taken it down twice, and goes on with the rest', async () => {
      const { site, start } = await open();
      const { server, client } = await start();
      const trace = site.path('trace');
      const fatal = await idOf(client.startTask('kill_server', { trace }));
      await server.child.ended;
      const second = site.start();
      await second.child.ended;
      const { client: third } = await start();
      await expect(third.task(fatal).result()).rejects.toMatchObject({
        code: -32603,
        message: /not tried again/,
      });
      expect((await third.startTask('quick')).data).toBe('quick');
      expect(site.lines('trace')).toEqual(['start 1', 'start 2']);
    });

    it.each(['the end of its input', 'SIGTERM'] as const)(
      'has not lost what waited or may be run again when it was ended by %s',
      async (how) => {
        const { site, start } = await open();
        const { server, client } = await start();
        const safe = await running(site, client, 'wait_safely');
        const queued = await idOf(client.startTask('quick'));
        const { code } = await server.stop(how === 'SIGTERM' ? how : undefined);
        expect(code).toBe(0);
        const { server: nextServer, client: next } = await start();
        await until(() => site.lines('trace').length === 2);
        // That was no interruption: another one is not the second.
        await nextServer.kill();
        const { client: last } = await start();
        writeFileSync(site.path('gate3'), '');
        expect((await last.task(safe).result()).data).toMatchObject({ attempt: 3 });
        expect((await last.task(queued).result()).data).toBe('quick');
        await expect(next.ping()).rejects.toThrow();
      },
    );
  },
);

describe('A task that waits for input when the server is killed', () => {
  const answer = (n: number) => ({ action: 'accept' as const, content: { n } });

  it('waits on with the same keys in 2026-07-28, and no answer is asked for twice', async () => {
    const site = await Site.open();
    const get = async (
      taskId: string,
      peer: { request(method: string, params: Json): Promise<{ result?: Json }> },
    ) => (await peer.request('tasks/get', { taskId })).result!;
    const asks = async (taskId: string, peer: Parameters<typeof get>[1], key: string) => {
      let task: Json = {};
      await until(async () =>
        Object.keys((task = await get(taskId, peer))['inputRequests'] ?? {}).includes(key),
      );
      return task;
    };
    const server = site.start();
    const peer = await server.modernPeer();
    const trace = site.path('trace');
    const { result } = await peer.request('tools/call', { name: 'ask', arguments: { trace } });
    const { taskId } = result as { taskId: string };
    const { status, inputRequests } = await asks(taskId, peer, 'first-number');
    await server.kill();

    const second = site.start();
    const secondPeer = await second.modernPeer();
    expect(await get(taskId, secondPeer)).toMatchObject({ status, inputRequests });
    // Nobody runs it meanwhile, and another has the thread.
    expect(site.lines('trace')).toEqual(['start 1']);
    await secondPeer.request('tasks/update', { taskId, inputResponses: { 'first-number': answer(7) } });
    const next = await asks(taskId, secondPeer, 'input-2');
    expect(Object.keys(next['inputRequests'])).toEqual(['input-2']);
    await second.kill();

    const third = site.start();
    const thirdPeer = await third.modernPeer();
    expect((await get(taskId, thirdPeer))['inputRequests']).toEqual(next['inputRequests']);
    await thirdPeer.request('tasks/update', { taskId, inputResponses: { 'input-2': answer(8) } });
    await until(async () => (await get(taskId, thirdPeer))['status'] === 'completed');
    expect((await get(taskId, thirdPeer))['result'].structuredContent).toEqual({ numbers: [7, 8] });
    expect(site.lines('trace')).toEqual(['start 1', 'start 2', 'start 3']);
  });

  it('is asked for again over stdio in 2025-11-25, where the client asks for the result', async () => {
    const site = await Site.open();
    const first = site.start();
    const questions: string[] = [];
    const client = await first.client({
      protocol: '2025-11-25',
      onElicit: ({ message }) => {
        questions.push(message);
        return questions.length === 1 ? answer(7) : new Promise(() => {});
      },
    });
    const task = client.startTask('ask', { trace: site.path('trace') });
    const result = task.result().catch((error: unknown) => error);
    await until(() => questions.length === 2);
    const taskId = await idOf(task);
    await first.kill();
    await result;
    const second = site.start();
    const next = await second.client({
      protocol: '2025-11-25',
      onElicit: ({ message }) => {
        questions.push(message);
        return answer(8);
      },
    });
    const again = next.task(taskId);
    expect((await again.status()).status).toBe('input_required');
    expect((await again.result()).data).toEqual({ numbers: [7, 8] });
    expect(questions).toEqual(['First?', 'Second?', 'Second?']);
    expect(site.lines('trace')).toEqual(['start 1', 'start 2']);
  });
});
