import { GetTaskResultSchema } from '@modelcontextprotocol/sdk/types.js';
import { TaskClient } from 'mcp-taskpool/client';
import { SqliteStore } from '../src/stores/sqlite.ts';
import { CLI, TOOLS } from './places.ts';

/** Milliseconds until a store is open, and has given all that another server has left. */
export async function timeOpening(path: string): Promise<number> {
  const started = performance.now();
  const store = await SqliteStore.open({ path });
  while ((await store.shared.claim()).length > 0);
  const took = performance.now() - started;
  await store.close();
  return took;
}

/** Milliseconds from the start of a server's process to its first answer, which is about a task. */
export async function timeServing(path: string, taskId: string): Promise<number> {
  const started = performance.now();
  const args = [CLI, 'serve', '--tools', TOOLS, '--store', `sqlite:${path}`];
  const client = await TaskClient.connect({ command: process.execPath, args });
  try {
    await client.sdk.request({ method: 'tasks/get', params: { taskId } }, GetTaskResultSchema);
    return performance.now() - started;
  } finally {
    await client.close();
  }
}
