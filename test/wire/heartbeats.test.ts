import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { InMemoryTransport } from '@modelcontextprotocol/sdk/inMemory.js';
import { createServer, IDEMPOTENCY_META, type TaskServer } from 'mcp-taskpool';
import { array, assert, constantFrom, double, oneof, property, record } from 'fast-check';
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { Heartbeats } from '../../src/wire/heartbeats.ts';
import { folderWith, toolSource } from '../folder.ts';
import { callRunning, emptyFolder, newGate, serveFixturesOnce, until } from './fixtures.ts';
import { modernPeer } from './modern-peer.ts';
import { callParams, Peer, type Json } from './peer.ts';

const SILENCE_MS = 10_000;

beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] }));

afterEach(() => void vi.useRealTimers());

const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms);

const progressOf = (peer: Peer, progressToken: string): Json[] =>
  peer
    .notifications('notifications/progress')
    .filter((params) => params['progressToken'] === progressToken)
    .map(({ progress, total, message }) => ({ progress, total, message }));

function expectToRise(values: readonly number[]): void {
  expect(values.filter((value) => !Number.isFinite(value))).toEqual([]);
  expect(values.filter((value, index) => index > 0 && !(value > values[index - 1]!))).toEqual([]);
}

/** What a tool reports, in an order that the test decides. */
async function serveSteps(reports: string): Promise<TaskServer> {
  const source = toolSource(
    `input: z.object({ folder: z.string() }), run: async ({ folder }, { progress, signal }) => {
      for (const [step, report] of ${reports}.entries()) {
        while (!existsSync(join(folder, String(step)))) await setTimeout(5, undefined, { signal });
        progress(...report);
      }
      while (!existsSync(join(folder, 'end'))) await setTimeout(5, undefined, { signal });
      return 'done';
    }`,
    "import { existsSync } from 'node:fs'; import { join } from 'node:path'; import { setTimeout } from 'node:timers/promises';",
  );
  const tools = await folderWith({ 'steps.js': source, 'quick.js': toolSource('') });
  const server = await createServer({ tools, threads: 1 });
  onTestFinished(() => server.close({ drainMs: 1 }));
  return server;
}

describe('A plain call of a tool that reports nothing', () => {
  /** A client that gives up after a minute. */
  async function connect(server: TaskServer): Promise<Client> {
    const [near, far] = InMemoryTransport.createLinkedPair();
    await server.connect(far);
    const client = new Client({ name: 'host', version: '1' });
    await client.connect(near);
    return client;
  }

  it('keeps a client waiting that goes by progress, for as long as it takes', async () => {
    const client = await connect(await serveFixturesOnce());
    await client.callTool({ name: 'echo', arguments: { text: 'the thread is there' } });
    const gate = await newGate();
    const heard: Json[] = [];
    const result = client.callTool({ name: 'wait_for_file', arguments: { path: gate.path } }, undefined, {
      timeout: 60_000,
      resetTimeoutOnProgress: true,
      onprogress: (progress) => heard.push(progress),
    });
    await client.ping();
    await pass(3_600_000);
    gate.open();
    expect(await result).toHaveProperty('content', [{ type: 'text', text: 'the file exists' }]);
    expect(heard).toHaveLength(3_600_000 / SILENCE_MS);
    expect(new Set(heard.map(({ message }) => message as string))).toEqual(new Set(['running']));
    expect(heard[0]).toEqual({ progress: 0, message: 'running' });
    expectToRise(heard.map(({ progress }) => progress as number));
    // So little that nobody takes it for progress.
    expect(heard.at(-1)!['progress']).toBeLessThan(1e-6);
  });

  it('is given up by a client that does not', async () => {
    const client = await connect(await serveFixturesOnce());
    const gate = await newGate();
    const result = client.callTool({ name: 'wait_for_file', arguments: { path: gate.path } }, undefined, {
      timeout: 60_000,
      onprogress: () => {},
    });
    const error = result.catch((error: unknown) => error);
    await pass(60_000);
    expect(await error).toMatchObject({ message: expect.stringMatching(/timed out/) });
  });

  it('sends nothing where no progress token came with it', async () => {
    const peer = await Peer.connect(await serveFixturesOnce());
    const id = await callRunning(peer, 'wait_on_shared_thread');
    await pass(60_000);
    expect(peer.notifications('notifications/progress')).toEqual([]);
    peer.notify('notifications/cancelled', { requestId: id });
  });

  it('says how many are ahead while it is queued', async () => {
    const server = await serveFixturesOnce();
    const peer = await Peer.connect(server);
    const first = await callRunning(peer, 'spin');
    const second = peer.call('echo', { text: 'a' });
    const third = peer.call('echo', { text: 'b' }, 'third');
    await peer.request('ping');
    await pass(SILENCE_MS);
    expect(progressOf(peer, 'third')).toEqual([{ progress: 0, message: 'queued, 1 ahead' }]);
    peer.notify('notifications/cancelled', { requestId: first });
    await peer.request('ping');
    // The grace period of the one that is deaf.
    await pass(1000);
    await Promise.all([second, third]);
  });

  it('is silent after its answer, and leaves no timer', async () => {
    const peer = await Peer.connect(await serveFixturesOnce());
    await peer.call('echo', { text: 'the thread is there' });
    const timers = vi.getTimerCount();
    const gate = await newGate();
    const calls = ['one', 'two'].map((token) => peer.call('wait_for_file', { path: gate.path }, token));
    await peer.request('ping');
    expect(vi.getTimerCount()).toBe(timers + 1);
    await pass(SILENCE_MS);
    expect(vi.getTimerCount()).toBe(timers + 1);
    gate.open();
    await Promise.all(calls);
    expect(vi.getTimerCount()).toBe(timers);
    await pass(60_000);
    expect([progressOf(peer, 'one').length, progressOf(peer, 'two').length]).toEqual([1, 1]);
  });

  it.each([
    ['cancelled', (peer: Peer, id: number) => peer.notify('notifications/cancelled', { requestId: id })],
    ['cut off', (peer: Peer) => void peer.close()],
  ])('leaves no timer where it is %s', async (_, stop) => {
    const peer = await Peer.connect(await serveFixturesOnce());
    await peer.call('echo', { text: 'the thread is there' });
    const timers = vi.getTimerCount();
    const id = await callRunning(peer, 'wait_on_shared_thread', 'mine');
    await pass(SILENCE_MS);
    expect(progressOf(peer, 'mine')).toHaveLength(1);
    stop(peer, id);
    await until(() => vi.getTimerCount() === timers);
    await pass(60_000);
    expect(progressOf(peer, 'mine')).toHaveLength(1);
  });
});

describe.each(['HTTP', 'a channel'] as const)('A plain call of 2026-07-28 over %s', (kind) => {
  it('is kept alive too', async () => {
    const server = await serveFixturesOnce();
    const peer = await modernPeer(kind, server);
    const call = (name: string, args: Json, meta: Json = {}) =>
      peer.request('tools/call', { name, arguments: args }, { capabilities: {}, meta });
    await call('echo', { text: 'the thread is there' });
    const timers = vi.getTimerCount();
    const gate = await newGate();
    const answer = call('wait_for_file', { path: gate.path }, { progressToken: 'mine' });
    await until(() => server.load.running === 1);
    await pass(2 * SILENCE_MS);
    gate.open();
    const { notifications, result } = await answer;
    expect(result).toMatchObject({ content: [{ text: 'the file exists' }] });
    expect(notifications.map(({ params: { progress, message } }) => [progress, message] as unknown)).toEqual([
      [0, 'running'],
      [1e-9, 'running'],
    ]);
    expect(vi.getTimerCount()).toBe(timers);
  });
});

describe('A plain call of a tool that reports at times', () => {
  it('is kept alive in between by its last report, and tells each report of its own', async () => {
    const server = await serveSteps("[[0, 100], [40, 100, 'nearly half'], [100, 100]]");
    const peer = await Peer.connect(server);
    await peer.call('quick');
    const folder = await emptyFolder();
    const id = peer.send('tools/call', callParams('steps', { folder }, undefined, 'mine'));
    await peer.request('ping');
    const told = () => progressOf(peer, 'mine');
    const report = async (step: number | 'end') => {
      const before = told().length;
      writeFileSync(join(folder, `${step}`), '');
      if (step !== 'end') await until(() => told().length > before);
    };
    await pass(SILENCE_MS);
    await report(0);
    await pass(SILENCE_MS);
    await report(1);
    await pass(2 * SILENCE_MS);
    await report(2);
    await pass(SILENCE_MS);
    await report('end');
    await peer.response(id);
    expect(
      told().map(({ progress, total, message }) => [Math.round(progress), Math.round(total), message]),
    ).toEqual([
      [0, NaN, 'running'],
      [0, 100, undefined],
      [0, 100, 'running, 0 of 100 done'],
      [40, 100, 'nearly half'],
      [40, 100, 'nearly half'],
      [40, 100, 'nearly half'],
      [100, 100, undefined],
      [100, 100, 'running, 100 of 100 done'],
    ]);
    const values = told().map(({ progress }) => progress as number);
    expectToRise(values);
    expect(values.filter((value) => Number.isInteger(value))).toEqual([0, 40, 100]);
    for (const { progress, total = Infinity } of told()) expect(progress).toBeLessThanOrEqual(total);
  });

  it('is kept alive also where it is one that may be repeated', async () => {
    const peer = await Peer.connect(await serveSteps('[[3]]'));
    await peer.call('quick');
    const folder = await emptyFolder();
    const call = () =>
      peer.request('tools/call', {
        name: 'steps',
        arguments: { folder },
        _meta: { [IDEMPOTENCY_META]: 'key', progressToken: 'mine' },
      });
    const answer = call();
    await peer.request('ping');
    await pass(SILENCE_MS);
    writeFileSync(join(folder, '0'), '');
    await until(() => progressOf(peer, 'mine').length === 2);
    writeFileSync(join(folder, 'end'), '');
    await answer;
    expect(progressOf(peer, 'mine')).toEqual([{ progress: 0, message: 'running' }, { progress: 3 }]);
    expect(await call()).toEqual(await answer);
  });

  it('does not hear of a beat while it reports often enough', async () => {
    const server = await serveSteps('[[1], [2]]');
    const peer = await Peer.connect(server);
    await peer.call('quick');
    const folder = await emptyFolder();
    const id = peer.send('tools/call', callParams('steps', { folder }, undefined, 'mine'));
    await peer.request('ping');
    for (const step of [0, 1]) {
      await pass(SILENCE_MS - 1);
      writeFileSync(join(folder, `${step}`), '');
      await until(() => progressOf(peer, 'mine').length > step);
    }
    await pass(SILENCE_MS - 1);
    writeFileSync(join(folder, 'end'), '');
    await peer.response(id);
    expect(progressOf(peer, 'mine').map(({ progress }) => progress as number)).toEqual([1, 2]);
  });
});

describe('Whatever a run reports and however long it is silent', () => {
  const value = oneof(
    double({ noNaN: true, noDefaultInfinity: true }),
    constantFrom(0, -1, 1e-300, 0.5, 1, 100, Number.MAX_VALUE),
  );
  const act = oneof(
    constantFrom<'silence'>('silence'),
    record({ done: value, total: value }, { requiredKeys: ['done'] }),
  );

  it('the values that are told rise, each by itself', () => {
    assert(
      property(array(act, { maxLength: 30 }), (acts) => {
        const told: number[] = [];
        const timers = vi.getTimerCount();
        const request = new Heartbeats().open(({ done }) => told.push(done));
        let highest = -Infinity;
        for (const act of acts) {
          if (act === 'silence') vi.advanceTimersByTime(SILENCE_MS);
          // A run's own reports rise.
          else if (act.done > highest) {
            highest = act.done;
            request.report(act);
          }
        }
        request.close();
        expect(vi.getTimerCount()).toBe(timers);
        expectToRise(told);
      }),
    );
  });
});
