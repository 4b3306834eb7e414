import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const CLI = fileURLToPath(new URL('../dist/src/cli/main.js', import.meta.url));

export interface HttpServer {
  /** Of its endpoint. */
  readonly url: string;
  stop(): Promise<void>;
}

/**
 * `mcp-taskpool serve --http` as a process of its own, on a port that is free, with a file of its own for its tasks.
 * @param token  what clients must come with, if anything: then tasks are theirs in whatever session
 * @throws {Error} when it ends before it listens, with what it wrote to standard error
 */
export async function startHttpServer(args: readonly string[], token?: string): Promise<HttpServer> {
  const folder = await mkdtemp(join(tmpdir(), 'mcp-taskpool-'));
  const tokens = join(folder, 'tokens');
  if (token !== undefined) await writeFile(tokens, `${token} somebody\n`, { mode: 0o600 });
  const store = `sqlite:${join(folder, 'tasks.db')}`;
  const options = ['--store', store, ...args, ...(token === undefined ? [] : ['--token-file', tokens])];
  const child = spawn(process.execPath, [CLI, 'serve', '--http', '0', ...options], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const ended = once(child, 'close').then(() => rm(folder, { recursive: true, force: true }));
  let stderr = '';
  const url = await new Promise<string>((resolve, reject) => {
    child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
      stderr += chunk;
      const [listening] = /http:\/\/\S+\/mcp/.exec(stderr) ?? [];
      if (listening !== undefined) resolve(listening);
    });
    ended.then(() => reject(new Error(`The server ended before it listened:\n${stderr}`)), reject);
  });
  return {
    url,
    async stop() {
      child.kill('SIGTERM');
      const late = setTimeout(() => child.kill('SIGKILL'), 15_000);
      await ended;
      clearTimeout(late);
    },
  };
}
