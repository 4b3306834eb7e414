import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/**
 * A home and a state folder for this run, so that no server keeps anything in the user's. A test that starts one
 * names the place of its tasks: a server that was left to its default has shared it with others, and fails the run.
 */
export default async function setup(): Promise<() => Promise<void>> {
  const home = await mkdtemp(join(tmpdir(), 'mcp-taskpool-home-'));
  // A client that spawns a server passes HOME on, and often nothing else of these.
  Object.assign(process.env, { HOME: home, XDG_STATE_HOME: join(home, 'state'), LOCALAPPDATA: home });
  return async () => {
    const files = await readdir(home, { recursive: true });
    await rm(home, { recursive: true, force: true });
    const stores = files.filter((file) => file.endsWith('.db'));
    if (stores.length === 0) return;
    // What is thrown here is printed, and no more.
    process.exitCode = 1;
    throw new Error(`tests have kept tasks in the default place: ${stores.join(', ')}`);
  };
}
