import { writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { TaskClient } from 'mcp-taskpool/client';
import { describe, expect, it } from 'vitest';
import { loadDriver } from '../../src/stores/sqlite-driver.ts';
import { until } from '../wire/fixtures.ts';
import { Site } from './instance.ts';

const TASKS = 30;

async function serversOn(site: Site, count: number) {
  const servers = Array.from({ length: count }, () => site.start({ isolation: 'thread' }));
  const clients = await Promise.all(servers.map((server) => server.client()));
  return { servers, clients };
}

describe('Servers on one file', () => {
  it.each([2, 5])('run each task once and see all, where there are %i', async (count) => {
    const site = await Site.open();
    const { clients } = await serversOn(site, count);
    const trace = site.path('trace');
    const start = async (client: TaskClient, n: number) => {
      const tasks = Array.from({ length: TASKS }, (_, m) => {
        const line = `${n}-${m}`;
        return { task: client.startTask('trace', { trace, line }), line };
      });
      return Promise.all(tasks.map(async ({ task, line }) => ({ line, taskId: (await task.created())! })));
    };
    const tasks = (await Promise.all(clients.map(start))).flat();
    // Each is asked for at all servers while it is run by one.
    for (const client of clients) {
      const results = tasks.map(({ taskId }) => client.task<{ line: string }>(taskId).result());
      expect((await Promise.all(results)).map(({ data }) => data.line)).toEqual(
        tasks.map(({ line }) => line),
      );
      const listed = await client.listTasks();
      expect(listed).toHaveLength(tasks.length);
      expect(new Set(listed.map(({ taskId }) => taskId))).toEqual(new Set(tasks.map(({ taskId }) => taskId)));
      expect(new Set(listed.map(({ status }) => status))).toEqual(new Set(['completed']));
    }
    expect(site.lines('trace').toSorted()).toEqual(tasks.map(({ line }) => line).toSorted());
  });

  it('make one task of a key, at whichever it is used', async () => {
    const site = await Site.open();
    const { clients } = await serversOn(site, 2);
    const lines = Array.from({ length: 40 }, (_, n) => `line ${n}`);
    // All at the same time.
    const use = (line: string) =>
      clients.map((client) => {
        const args = { trace: site.path('trace'), line };
        return client.startTask('trace', args, { idempotencyKey: `key of ${line}` });
      });
    for (const tasks of lines.map(use)) {
      const [id, other] = await Promise.all(tasks.map((task) => task.created()));
      expect(other).toBe(id);
      const [result, otherResult] = await Promise.all(tasks.map((task) => task.result()));
      expect(otherResult!.raw).toEqual(result!.raw);
    }
    expect(site.lines('trace').toSorted()).toEqual(lines.toSorted());
  });

  it('take over the tasks of one that was killed', async () => {
    const site = await Site.open();
    const { servers, clients } = await serversOn(site, 2);
    const [one, other] = clients as [TaskClient, TaskClient];
    const args = { trace: site.path('trace'), gate: site.path('gate'), mark: '' };
    const running = (await one.startTask('wait', args).created())!;
    await until(() => site.lines('trace').length === 1);
    const safe = (await one.startTask('wait_safely', args).created())!;
    const queued = (await one.startTask('quick').created())!;
    const results = [running, safe, queued].map((taskId) => other.task(taskId).result());
    const settled = Promise.allSettled(results);
    writeFileSync(site.path('gate1'), '');
    await servers[0]!.kill();
    await expect(settled).resolves.toMatchObject([
      {
        status: 'rejected',
        reason: { message: 'interrupted: the server stopped while the task was running' },
      },
      { status: 'fulfilled', value: { data: { attempt: 1 } } },
      { status: 'fulfilled', value: { data: 'quick' } },
    ]);
  });

  it('answer who waits at one for a task of another, once it ends', async () => {
    const site = await Site.open();
    const { clients } = await serversOn(site, 2);
    const [one, other] = clients as [TaskClient, TaskClient];
    const args = { trace: site.path('trace'), gate: site.path('gate') };
    const taskId = (await one.startTask('wait', args).created())!;
    await until(() => site.lines('trace').length === 1);
    const there = other.task(taskId);
    expect((await there.status()).status).toBe('working');
    const result = there.result();
    let isOver = false;
    void result.finally(() => (isOver = true));
    await other.ping();
    expect(isOver).toBe(false);
    writeFileSync(args.gate, '');
    expect((await result).data).toEqual({ attempt: 1 });
    expect((await one.task(taskId).result()).data).toEqual({ attempt: 1 });
  });

  it('stop a task of another that is cancelled', async () => {
    const site = await Site.open();
    const { clients } = await serversOn(site, 2);
    const [one, other] = clients as [TaskClient, TaskClient];
    const task = one.startTask('spin', { trace: site.path('trace') });
    const result = task.result();
    const taskId = (await task.created())!;
    await until(() => site.lines('trace').length === 1);
    expect((await other.task(taskId).cancel()).status).toBe('cancelled');
    await expect(result).rejects.toThrow(/cancelled/);
    expect((await task.status()).status).toBe('cancelled');
    // The one thread of that server is free again.
    expect((await one.startTask('quick')).data).toBe('quick');
  });

  it('pass on the answer to what a task of another asks', async () => {
    const site = await Site.open();
    const [one, other] = await Promise.all([0, 1].map(() => site.start().modernPeer()));
    const { result } = await one!.request('tools/call', {
      name: 'ask',
      arguments: { trace: site.path('trace') },
    });
    const { taskId } = result as { taskId: string };
    for (const [key, n] of [
      ['first-number', 7],
      ['input-2', 8],
    ] as const) {
      await until(async () => {
        const task = await other!.request('tasks/get', { taskId });
        return task.result!['inputRequests']?.[key] !== undefined;
      });
      const inputResponses = { [key]: { action: 'accept', content: { n } } };
      expect((await other!.request('tasks/update', { taskId, inputResponses })).error).toBeUndefined();
    }
    await until(async () => {
      const task = await other!.request('tasks/get', { taskId });
      if (task.result!['status'] !== 'completed') return false;
      expect(task.result!['result'].structuredContent).toEqual({ numbers: [7, 8] });
      return true;
    });
    expect(site.lines('trace')).toEqual(['start 1']);
  });

  it('acknowledge an answer once it is kept for the server whose task it is, or the one that takes that over', async () => {
    const site = await Site.open();
    const [one, other, third] = [site.start(), site.start(), site.start()];
    const [asked, peer, client] = await Promise.all([one.modernPeer(), other.modernPeer(), third.client()]);
    const call = { name: 'ask', arguments: { trace: site.path('trace') } };
    const { taskId } = (await asked.request('tools/call', call)).result as { taskId: string };
    const asks = async (key: string) => {
      const task = await peer.request('tasks/get', { taskId });
      return task.result!['inputRequests']?.[key] !== undefined;
    };
    await until(() => asks('first-number'));
    await one.freeze(client);
    const { DatabaseSync } = await loadDriver();
    const file = new DatabaseSync(site.file);
    await until(() => {
      try {
        file.exec('BEGIN IMMEDIATE');
        return true;
      } catch {
        return false;
      }
    });
    const inputResponses = { 'first-number': { action: 'accept', content: { n: 7 } } };
    let isAcknowledged = false;
    const update = peer.request('tasks/update', { taskId, inputResponses }).then((response) => {
      isAcknowledged = true;
      return response;
    });
    for (let n = 0; n < 20; n++) await peer.request('tools/list');
    expect(isAcknowledged).toBe(false);
    file.exec('COMMIT');
    file.close();
    expect((await update).error).toBeUndefined();
    await one.kill();
    await until(() => asks('input-2'));
    expect(await asks('first-number')).toBe(false);
  });

  it('do not take each other for dead while they live', async () => {
    const site = await Site.open();
    const leaseMs = 900;
    const servers = [0, 1, 2].map(() => site.start({ leaseMs }));
    const clients = await Promise.all(servers.map((server) => server.client()));
    const args = { trace: site.path('trace'), gate: site.path('gate'), mark: '' };
    const task = clients[0]!.startTask('wait_safely', args);
    await until(() => site.lines('trace').length === 1);
    // Several times the time after which one is taken for dead.
    await sleep(leaseMs * 3);
    writeFileSync(site.path('gate1'), '');
    expect((await task).data).toMatchObject({ attempt: 1 });
    expect(site.lines('trace')).toEqual(['start 1', 'end 1']);
  });
});
