import { chmod, mkdir, mkdtemp, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, type TestContext, vi } from 'vitest';

/**
 * Runs something that must meet a denied permission. Root meets none, so it becomes `nobody` meanwhile;
 * a thread cannot do that, and so skips the test.
 */
export async function withoutPrivileges(context: TestContext, run: () => Promise<void>): Promise<void> {
  const user = process.geteuid?.();
  if (user === undefined) context.skip('this system has no users whose permissions could be denied');
  if (user !== 0) return run();
  if (process.seteuid === undefined)
    context.skip('root ignores permissions, and a thread cannot change its user');
  process.seteuid(65534);
  try {
    await run();
  } finally {
    process.seteuid(0);
  }
}

/** A fresh folder for each test, which is also the only one that tools may read. */
export function temporaryRoot() {
  const root = {
    path: '',
    async write(name: string, content: string | Uint8Array): Promise<string> {
      const path = join(root.path, name);
      await mkdir(dirname(path), { recursive: true });
      await writeFile(path, content);
      return path;
    },
  };
  beforeEach(async () => {
    root.path = await realpath(await mkdtemp(join(tmpdir(), 'mcp-taskpool-')));
    await chmod(root.path, 0o755);
    vi.stubEnv('MCP_TASKPOOL_ROOT', root.path);
  });
  afterEach(async () => {
    vi.unstubAllEnvs();
    await rm(root.path, { recursive: true, force: true });
  });
  return root;
}
