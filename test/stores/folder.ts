import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';

/** The path of a file that is not there, in a folder that is gone after the test. */
export async function pathOfStore(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'mcp-taskpool-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return join(folder, 'tasks.db');
}
