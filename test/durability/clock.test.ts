import { writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { TaskClient } from 'mcp-taskpool/client';
import { describe, expect, it } from 'vitest';
import { until } from '../wire/fixtures.ts';
import { Site, type Instance } from './instance.ts';

const HOUR_MS = 3_600_000;
const HALF_AN_HOUR_MS = HOUR_MS / 2;
const leaseMs = 1200;
const preload = new URL('../../dist/test/fixtures/move-clock.js', import.meta.url).href;

describe.each([
  ['forward', HOUR_MS],
  ['back', -HOUR_MS],
])('When the clock is set an hour %s', (_, stepMs) => {
  const moved = `the clock says `;

  async function scene() {
    const site = await Site.open();
    const options = { leaseMs, preload, environment: { CLOCK_STEP_MS: `${stepMs}` } };
    const server = site.start(options);
    const client = await server.client();
    return { site, server, client, options };
  }

  async function setClock({ child }: Instance): Promise<void> {
    child.signal('SIGUSR2');
    await until(() => child.stderr.includes(moved));
  }

  async function isKnown(client: TaskClient, taskId: string): Promise<boolean> {
    return client
      .task(taskId)
      .status()
      .then(
        () => true,
        (error: { code?: number }) => {
          expect(error.code).toBe(-32602);
          return false;
        },
      );
  }

  it('no task expires that would not have, and each that is due does', async () => {
    const { server, client } = await scene();
    const long = client.startTask('quick', {}, { ttl: HALF_AN_HOUR_MS });
    const short = client.startTask('quick', {}, { ttl: 4500 });
    await Promise.all([long, short]);
    await setClock(server);
    const later = client.startTask('quick', {}, { ttl: 1500 });
    await later;
    const since = performance.now();
    await until(async () => !(await isKnown(client, later.taskId!)));
    expect(performance.now() - since).toBeLessThan(HALF_AN_HOUR_MS);
    await until(async () => !(await isKnown(client, short.taskId!)));
    expect(await isKnown(client, long.taskId!)).toBe(true);
    expect((await client.task(long.taskId!).result()).data).toBe('quick');
  });

  it('what runs has its time, neither more nor less', async () => {
    const { site, server, client } = await scene();
    const trace = site.path('trace');
    const task = client.startTask('time_out', { trace });
    await until(() => site.lines('trace').length === 1);
    const since = performance.now();
    await setClock(server);
    await expect(task.result()).rejects.toThrow('time_out timed out after 1500 ms');
    // It had begun a little before.
    expect(performance.now() - since).toBeGreaterThan(1000);
  });

  it('no server is taken for dead, nor one that is dead for alive', async () => {
    const { site, server, client, options } = await scene();
    const other = await site.start(options).client();
    const args = { trace: site.path('trace'), gate: site.path('gate'), mark: '' };
    const taskId = (await client.startTask('wait_safely', args).created())!;
    await until(() => site.lines('trace').length === 1);
    await setClock(server);
    await sleep(2 * leaseMs);
    expect(site.lines('trace')).toEqual(['start 1']);
    await server.freeze(other);
    await until(() => site.lines('trace').includes('start 2'));
    writeFileSync(site.path('gate2'), '');
    expect((await other.task(taskId).result()).data).toMatchObject({ attempt: 2 });
  });

  it('a server that starts after it keeps to the old time', async () => {
    const { site, server, client, options } = await scene();
    const long = client.startTask('quick', {}, { ttl: HALF_AN_HOUR_MS });
    const short = client.startTask('quick', {}, { ttl: 5000 });
    await Promise.all([long, short]);
    await setClock(server);
    // It notes it at one of its next beats.
    await sleep(leaseMs);
    await server.kill();
    const environment = { ...options.environment, CLOCK_AHEAD_MS: `${stepMs}` };
    const next = await site.start({ ...options, environment }).client();
    expect(await isKnown(next, long.taskId!)).toBe(true);
    await until(async () => !(await isKnown(next, short.taskId!)));
    expect(await isKnown(next, long.taskId!)).toBe(true);
  });
});
