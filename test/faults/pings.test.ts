import { InMemoryTransport } from '@modelcontextprotocol/sdk/inMemory.js';
import { createServer } from 'mcp-taskpool';
import { TaskClient } from 'mcp-taskpool/client';
import { afterAll, describe, expect, it, onTestFinished } from 'vitest';
import { folderWith, toolSource } from '../folder.ts';
import { ChildTransport } from './child-transport.ts';
import { Control } from './control.ts';
import { Pings } from './pings.ts';

const BLOCK_MS = 1000;
/** For that long on a processor, however long that takes. */
const compute = (ms: number) => {
  const ranMs = () => (process.cpuUsage().user + process.cpuUsage().system) / 1000;
  for (const until = ranMs() + ms; ranMs() < until;);
};
const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** What every row of the fault table is measured with. */
describe('The measure of pings', () => {
  const control = new Control();
  afterAll(() => control.close());

  /** Pings a server for a while, in the midst of which this happens; fails where a ping took too long. */
  async function pingDuring(client: TaskClient, pid: number, happens: () => unknown): Promise<void> {
    const pings = await Pings.start(client, control, pid);
    await sleep(50);
    await happens();
    await sleep(50);
    await pings.stop();
  }

  const inMemory = async () => {
    const server = await createServer({ tools: await folderWith({ 'a.js': toolSource('') }), threads: 1 });
    onTestFinished(() => server.close());
    const [near, far] = InMemoryTransport.createLinkedPair();
    await server.connect(far);
    return TaskClient.connect(near);
  };

  const overStdio = async () => {
    const child = new ChildTransport(['--tools', await folderWith({ 'a.js': toolSource('') })]);
    onTestFinished(() => child.close());
    return { child, client: await TaskClient.connect(child) };
  };

  const LATE = /a ping (took \d+\.\d ms|was not answered)/;

  it('finds a server quick that is', async () => {
    await expect(pingDuring(await inMemory(), process.pid, () => sleep(100))).resolves.toBeUndefined();
    const { child, client } = await overStdio();
    await expect(pingDuring(client, child.pid, () => sleep(100))).resolves.toBeUndefined();
  });

  it.each([
    ['sleeps', () => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, BLOCK_MS)],
    ['computes', () => compute(BLOCK_MS)],
  ])('finds out a server in memory whose thread %s', async (_, block) => {
    await expect(pingDuring(await inMemory(), process.pid, block)).rejects.toThrow(LATE);
  });

  it('finds out a server over stdio whose thread computes', async () => {
    const { child, client } = await overStdio();
    // It reads what is no JSON, for far longer than that.
    const line = `${'['.repeat(24 * 2 ** 20)}\n`;
    await expect(pingDuring(client, child.pid, () => child.write(line))).rejects.toThrow(LATE);
  });

  it('finds out a server over stdio that does not run', async () => {
    const { child, client } = await overStdio();
    const stop = async () => {
      process.kill(child.pid, 'SIGSTOP');
      await sleep(BLOCK_MS);
      process.kill(child.pid, 'SIGCONT');
    };
    await expect(pingDuring(client, child.pid, stop)).rejects.toThrow(LATE);
  });

  it('does not blame a server over stdio for what this process does', async () => {
    const { child, client } = await overStdio();
    await expect(pingDuring(client, child.pid, () => compute(BLOCK_MS))).resolves.toBeUndefined();
  });

  it('does not blame a server for what the machine does to every process', async () => {
    const { child, client } = await overStdio();
    const stopBoth = async () => {
      for (const pid of [child.pid, control.pid]) process.kill(pid, 'SIGSTOP');
      await sleep(BLOCK_MS);
      for (const pid of [control.pid, child.pid]) process.kill(pid, 'SIGCONT');
    };
    await expect(pingDuring(client, child.pid, stopBoth)).resolves.toBeUndefined();
  });
});
