import { writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { until } from '../wire/fixtures.ts';
import { Site } from './instance.ts';

const leaseMs = 1500;

describe.each(['thread', 'process'] as const)('A server that is frozen, with tools in a %s', (isolation) => {
  /** One that runs a task of this tool, and another on the same file. */
  async function scene(tool: string) {
    const site = await Site.open();
    const options = { isolation, leaseMs };
    const frozen = site.start(options);
    const other = site.start(options);
    const [client, otherClient] = await Promise.all([frozen.client(), other.client()]);
    const args = { trace: site.path('trace'), gate: site.path('gate'), mark: '' };
    const taskId = (await client.startTask(tool, args).created())!;
    await until(() => site.lines('trace').length === 1);
    await frozen.freeze(otherClient);
    const open = (gate: string) => writeFileSync(site.path(gate), '');
    return { site, frozen, client, otherClient, taskId, open };
  }

  it('loses its task to another, and its late result does not win over the one that was there first', async () => {
    const { site, frozen, client, otherClient, taskId, open } = await scene('wait_safely');
    await until(() => site.lines('trace').includes('start 2'));
    open('gate2');
    const { raw } = await otherClient.task(taskId).result();
    open('gate1');
    frozen.child.signal('SIGCONT');
    await client.ping();
    // It is served as before.
    expect((await client.startTask('quick')).data).toBe('quick');
    expect((await client.task(taskId).result()).raw).toEqual(raw);
    expect((await otherClient.task(taskId).result()).raw).toEqual(raw);
    expect(raw.structuredContent).toMatchObject({ attempt: 2 });
  });

  it('loses its task to another, and its late result does not win over the run that goes on', async () => {
    const { site, frozen, client, otherClient, taskId, open } = await scene('wait_safely');
    await until(() => site.lines('trace').includes('start 2'));
    open('gate1');
    // With tools in a process, the run that nobody waits for ends while the server is frozen.
    if (isolation === 'process') await until(() => site.lines('trace').includes('end 1'));
    // It is asked for another before it can know.
    const quick = client.startTask('quick');
    frozen.child.signal('SIGCONT');
    expect((await quick).data).toBe('quick');
    for (const seen of [client, otherClient])
      expect((await seen.task(taskId).status()).status).toBe('working');
    open('gate2');
    for (const seen of [client, otherClient])
      expect((await seen.task(taskId).result()).data).toMatchObject({ attempt: 2 });
  });

  it('has failed what may not be run twice, and its late result changes nothing', async () => {
    const { site, frozen, client, otherClient, taskId, open } = await scene('wait');
    const message = 'interrupted: the server stopped while the task was running';
    await expect(otherClient.task(taskId).result()).rejects.toThrow(message);
    open('gate');
    if (isolation === 'process') await until(() => site.lines('trace').includes('end 1'));
    // It is asked for another before it can know.
    const quick = client.startTask('quick');
    frozen.child.signal('SIGCONT');
    expect((await quick).data).toBe('quick');
    for (const seen of [client, otherClient])
      await expect(seen.task(taskId).result()).rejects.toThrow(message);
    expect(site.lines('trace').filter((line) => line.startsWith('start'))).toEqual(['start 1']);
  });
});
