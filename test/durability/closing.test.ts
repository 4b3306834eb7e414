import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SqliteStore, createServer } from 'mcp-taskpool';
import { describe, expect, it, onTestFinished } from 'vitest';
import { newGate, until } from '../wire/fixtures.ts';
import { Peer } from '../wire/peer.ts';

const TOOLS = new URL('../../dist/test/fixtures/tools/', import.meta.url);
const CLOSING = { code: -32000, message: /closing/ };

/** A server with one thread that a task holds until its gate opens, and a task that waits behind it. */
async function serve(path: string) {
  const server = await createServer({ tools: TOOLS, threads: 1, store: () => SqliteStore.open({ path }) });
  onTestFinished(() => server.close({ drainMs: 0 }));
  const peer = await Peer.connect(server);
  const gate = await newGate();
  const { taskId: running } = await peer.start('wait_for_file', { path: gate.path });
  await peer.reached(running, 'running');
  const { taskId: queued } = await peer.start('echo', { text: 'later' });
  return { server, peer, gate, queued: queued as string };
}

async function emptyFile(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'mcp-taskpool-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return join(folder, 'tasks.db');
}

describe('A server that closes and leaves a task to the next one', () => {
  it('tells who waits for it, and comes to its end though it is asked for the task meanwhile', async () => {
    const path = await emptyFile();
    const { server, peer, gate, queued } = await serve(path);
    const before = peer.result(queued);
    const closed = server.close({ drainMs: 20_000 });
    await expect(before).rejects.toMatchObject(CLOSING);
    await expect(peer.result(queued)).rejects.toMatchObject(CLOSING);
    await expect(peer.cancel(queued)).rejects.toMatchObject(CLOSING);
    expect(await peer.get(queued)).toMatchObject({ status: 'working' });
    gate.open();
    await closed;
  });

  it('has it run by the next one', async () => {
    const path = await emptyFile();
    const { server, gate, queued } = await serve(path);
    const closed = server.close({ drainMs: 20_000 });
    gate.open();
    await closed;
    const next = await createServer({ tools: TOOLS, threads: 1, store: () => SqliteStore.open({ path }) });
    onTestFinished(() => next.close({ drainMs: 0 }));
    const peer = await Peer.connect(next);
    expect(await peer.result(queued)).toMatchObject({ content: [{ text: 'later' }] });
    await until(async () => (await peer.get(queued))['status'] === 'completed');
  });
});
