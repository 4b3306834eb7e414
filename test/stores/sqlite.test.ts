import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { SqliteStore } from '../../src/stores/sqlite.ts';
import { storeConformance } from './conformance.ts';

storeConformance('SqliteStore', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'mcp-taskpool-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return SqliteStore.open({ path: join(folder, 'tasks.db') });
});
