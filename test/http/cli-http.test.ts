import { spawn } from 'node:child_process';
import { EventEmitter, once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { TaskClient } from 'mcp-taskpool/client';
import { describe, expect, it, onTestFinished } from 'vitest';
import { emptyFolder, newGate, until } from '../wire/fixtures.ts';
import { stateOf, type Json } from '../wire/peer.ts';
import { HttpPeer, INITIALIZE } from './http-peer.ts';

const CLI = fileURLToPath(new URL('../../dist/src/cli/main.js', import.meta.url));
const TOOLS = fileURLToPath(new URL('../../dist/test/fixtures/tools/', import.meta.url));

function serve(...args: string[]) {
  const options = ['--tools', TOOLS, '--threads', '1', '--store', 'memory', ...args];
  const child = spawn(process.execPath, [CLI, 'serve', ...options]);
  onTestFinished(() => void child.kill('SIGKILL'));
  let [stdout, stderr] = ['', ''];
  const heard = new EventEmitter();
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => (stdout += chunk));
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
    stderr += chunk;
    heard.emit('more');
  });
  child.once('close', () => heard.emit('more'));
  return {
    child,
    ended: once(child, 'close').then(([code]) => ({ code: code as number | null, stdout, stderr })),
    /** The endpoint, once it listens. */
    url: async () => {
      while (!/^http:.*\n/m.test(stderr)) {
        if (child.exitCode !== null) throw new Error(stderr);
        await once(heard, 'more');
      }
      return /^(http:.*)\n/m.exec(stderr)![1]!;
    },
  };
}

describe('mcp-taskpool serve --http', () => {
  it.each([
    [['--http', '0'], /^http:\/\/127\.0\.0\.1:\d+\/mcp$/],
    [['--http', 'localhost:0'], /^http:\/\/localhost:\d+\/mcp$/],
    [['--http', '[::1]:0'], /^http:\/\/\[::1\]:\d+\/mcp$/],
  ])('%j: says on stderr where it is, and nothing on stdout', async (args, pattern) => {
    const server = serve(...args);
    const url = await server.url();
    expect(url).toMatch(pattern);
    const client = await TaskClient.connect({ url });
    expect((await client.startTask('add', { a: 1, b: 2 })).data).toEqual({ sum: 3 });
    await client.close();
    server.child.kill('SIGTERM');
    expect(await server.ended).toEqual({ code: 0, stdout: '', stderr: `${url}\n` });
  });

  it('goes on when its standard input ends', async () => {
    const server = serve('--http', '0');
    const url = await server.url();
    server.child.stdin.end();
    const peer = await HttpPeer.open(url);
    expect((await peer.ask('ping'))['result']).toEqual({});
  });

  it.each([
    [
      ['--http', '0.0.0.0:0'],
      '--http: 0.0.0.0 is every address of this machine, and others must not reach the tools without authentication by tokens',
    ],
    [
      ['--http', 'tools.example.com:80'],
      '--http: tools.example.com is not loopback, and others must not reach the tools without authentication by tokens',
    ],
    [['--http', '0', '--token-file', '/no-such-file'], '--token-file: ENOENT'],
    [['--http', '0', '--jwks', 'https://a/keys'], '--jwks: needs --issuer'],
    [['--http', '0', '--issuer', 'https://a'], '--issuer: needs --jwks'],
    [['--http', '0', '--audience', 'a'], '--audience: needs --jwks'],
    [['--http', '0', '--jwks', 'https://a/keys', '--issuer', 'https://a'], '--audience: needed'],
    [['--http', '0', '--allowed-host', 'http://a'], '--allowed-host: expected a host'],
    [['--http', '0', '--allowed-origin', 'a'], '--allowed-origin: expected'],
    [['--http', '0', '--public-url', 'a'], '--public-url: expected'],
    [['--http', ':80'], "option '--http <[host:]port>' argument ':80' is invalid."],
    [['--http', '65536'], "option '--http <[host:]port>' argument '65536' is invalid."],
    [['--http', 'localhost'], "option '--http <[host:]port>' argument 'localhost' is invalid."],
    [['--token-file', 'tokens'], '--token-file: needs --http'],
    [['--scope', 'a'], '--scope: needs --http'],
    [['--rate-limit', '5'], '--rate-limit: needs --http'],
  ])('refuses %j with one line and exit code 2', async (args, line) => {
    const { code, stdout, stderr } = await serve(...args).ended;
    expect(stderr).toContain(`mcp-taskpool: ${line}`);
    expect(stderr.trimEnd().split('\n')).toHaveLength(1);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
  });

  it('says that it cannot listen, with exit code 1', async () => {
    const url = await serve('--http', '0').url();
    const { code, stderr } = await serve('--http', new URL(url).port).ended;
    expect(code).toBe(1);
    expect(stderr).toMatch(/^mcp-taskpool: .*EADDRINUSE.*\n$/);
  });

  it('is for those who have a token, where it is given a file of them', async () => {
    const file = join(await emptyFolder(), 'tokens');
    await writeFile(file, 'a-token-of-the-team team\n', { mode: 0o600 });
    const server = serve('--http', '0.0.0.0:0', '--token-file', file, '--rate-limit', '20');
    const url = (await server.url()).replace('0.0.0.0', '127.0.0.1');
    expect((await new HttpPeer(url).post(INITIALIZE)).status).toBe(401);
    const peer = await HttpPeer.open(url, { authorization: 'Bearer a-token-of-the-team' });
    const ping = { jsonrpc: '2.0', id: 1, method: 'ping' };
    await until(async () => (await peer.post(ping)).status === 429);
  });

  it.each(['SIGTERM', 'SIGINT'] as const)(
    'lets a running task finish on %s and its result be fetched, and ends with 0',
    async (signal) => {
      const server = serve('--http', '0');
      const url = await server.url();
      const peer = await HttpPeer.open(url);
      const gate = await newGate();
      const taskId = await peer.start('wait_for_file', { path: gate.path });
      const result = peer.ask('tasks/result', { taskId });
      // What is queued is not waited for.
      await until(
        async () => stateOf((await peer.ask('tasks/get', { taskId }))['result'] as Json) === 'running',
      );
      server.child.kill(signal);
      await until(async () => (await fetch(new URL('/readyz', url))).status === 503);
      gate.open();
      expect(await result).toMatchObject({ result: { content: [{ text: 'the file exists' }] } });
      expect((await server.ended).code).toBe(0);
    },
  );

  it('fails a task that takes longer than there is to drain, and says so', async () => {
    const server = serve('--http', '0', '--drain', '0.2');
    const peer = await HttpPeer.open(await server.url());
    const gate = await newGate();
    const taskId = await peer.start('wait_for_file', { path: gate.path });
    const result = peer.ask('tasks/result', { taskId });
    await peer.ask('ping');
    server.child.kill('SIGTERM');
    expect(await result).toMatchObject({ error: { message: expect.stringMatching(/interrupted/) } });
    expect((await server.ended).code).toBe(0);
  });

  it('ends at once on a second signal', async () => {
    const server = serve('--http', '0', '--drain', '600');
    const url = await server.url();
    const peer = await HttpPeer.open(url);
    const gate = await newGate();
    await peer.start('wait_for_file', { path: gate.path });
    server.child.kill('SIGTERM');
    await until(async () => (await fetch(new URL('/readyz', url))).status === 503);
    server.child.kill('SIGINT');
    expect((await server.ended).code).toBe(1);
  });
});
