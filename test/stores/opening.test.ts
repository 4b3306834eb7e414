import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import {
  CatalogError,
  createServer,
  MemoryStore,
  SqliteStore,
  StoreError,
  type SharedStore,
} from 'mcp-taskpool';
import { describe, expect, it, onTestFinished } from 'vitest';
import { folderWith, toolSource } from '../folder.ts';
import { emptyFolder } from '../wire/fixtures.ts';
import { Peer } from '../wire/peer.ts';

const TOOLS = { 'echo.js': toolSource("run: () => 'done'") };

/** A store of somebody else's making, which does not do what it should. */
class FaultyStore extends MemoryStore {
  closed = 0;
  readonly shared: SharedStore = {
    claim: async () => [],
    post: async () => {},
    letters: async () => [],
    done: async () => {},
    watch: () => {
      throw new Error('cannot be watched');
    },
  };

  override async close(): Promise<void> {
    this.closed++;
  }
}

describe('A store that is opened with the server', () => {
  it('keeps its tasks, and is closed with it', async () => {
    const path = join(await emptyFolder(), 'tasks.db');
    let store: SqliteStore | undefined;
    const open = async () => (store = await SqliteStore.open({ path }));
    const tools = await folderWith(TOOLS);
    const server = await createServer({ tools, store: open, threads: 1 });
    const peer = await Peer.connect(server);
    const { taskId } = await peer.start('echo');
    await peer.request('tasks/result', { taskId });
    await server.close();
    await expect(store!.purge(0)).rejects.toThrow('closed');
    const again = await createServer({ tools, store: () => SqliteStore.open({ path }), threads: 1 });
    onTestFinished(() => again.close({ drainMs: 0 }));
    const later = await Peer.connect(again);
    expect(await later.request('tasks/get', { taskId })).toMatchObject({ status: 'completed' });
  });

  it('is not opened where the tools cannot be served', async () => {
    const path = join(await emptyFolder(), 'tasks.db');
    const tools = await folderWith({ 'bad.js': "throw new Error('broken')" });
    const server = createServer({ tools, store: () => SqliteStore.open({ path }) });
    await expect(server).rejects.toThrow(CatalogError);
    await expect(stat(path)).rejects.toThrow('ENOENT');
  });

  it('keeps the server from being ready where it cannot be opened', async () => {
    const path = await emptyFolder();
    const server = createServer({ tools: await folderWith(TOOLS), store: () => SqliteStore.open({ path }) });
    await expect(server).rejects.toThrow(StoreError);
    await expect(server).rejects.toThrow(path);
  });

  it('is closed where the server cannot start on it', async () => {
    const store = new FaultyStore();
    const server = createServer({ tools: await folderWith(TOOLS), store: async () => store });
    await expect(server).rejects.toThrow('cannot be watched');
    expect(store.closed).toBe(1);
  });
});
