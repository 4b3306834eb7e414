import { spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import packageJson from '../../package.json' with { type: 'json' };
import { folderWith, toolSource } from '../folder.ts';
import { CLI, INITIALIZE, isAlive, serve, start } from './command.ts';

async function pidIn(file: string): Promise<number> {
  while (!existsSync(file) || readFileSync(file, 'utf8') === '') await new Promise(setImmediate);
  return Number(readFileSync(file, 'utf8'));
}

describe('mcp-taskpool', () => {
  it('prints its help', async () => {
    const { code, stdout } = await start('--help').ended;
    expect(code).toBe(0);
    expect(stdout).toContain('Usage: mcp-taskpool');
    expect(stdout).toContain('serve');
    const serve = await start('serve', '--help').ended;
    expect(serve.code).toBe(0);
    for (const option of ['--tools <dir>', '--threads <n>', '--lenient'])
      expect(serve.stdout).toContain(option);
  });

  it('prints its version', async () => {
    expect(await start('--version').ended).toEqual({
      code: 0,
      stdout: `${packageJson.version}\n`,
      stderr: '',
    });
  });

  it.each([
    [['serve', '--theads', '2'], "mcp-taskpool: unknown option '--theads'"],
    [['serve', '--threads', 'many'], "mcp-taskpool: option '--threads <n>' argument 'many' is invalid."],
    [['serve', '--threads', '0'], "mcp-taskpool: option '--threads <n>' argument '0' is invalid."],
    [
      ['serve', '--log-level', 'loud'],
      "mcp-taskpool: option '--log-level <level>' argument 'loud' is invalid.",
    ],
    [['serve', 'tools', 'more'], 'mcp-taskpool: too many arguments'],
    [['sevre'], "mcp-taskpool: unknown command 'sevre'"],
  ])('refuses %j with one line and exit code 2', async (args, line) => {
    const { code, stdout, stderr } = await start(...args).ended;
    expect(stderr).toContain(line);
    expect(stderr.trimEnd().split('\n')).toHaveLength(1);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
  });

  it('asks for a command, with exit code 2, when it is given none', async () => {
    const { code, stderr } = await start().ended;
    expect(code).toBe(2);
    expect(stderr).toContain('Usage: mcp-taskpool');
  });

  it('does not start without its tools, and says why on one line', async () => {
    const folder = await folderWith({ 'bad.js': "throw new Error('broken')" });
    const { ended } = await serve(folder);
    expect(await ended).toEqual({
      code: 1,
      stdout: '',
      stderr: `mcp-taskpool: ${folder}/bad.js: broken\n`,
    });
  });

  it('leaves out what does not load when told to, and says so on stderr', async () => {
    const folder = await folderWith({ 'bad.js': "throw new Error('broken')", 'good.js': toolSource('') });
    const server = await serve(folder, '--lenient');
    server.child.stdin.end();
    const { code, stdout, stderr } = await server.ended;
    expect({ code, stdout }).toEqual({ code: 0, stdout: '' });
    expect(stderr).toContain(`left out: ${folder}/bad.js: broken`);
  });

  it('writes nothing but the protocol to stdout, whatever a tool prints', async () => {
    const folder = await folderWith({
      'loud.js': toolSource(
        `run: () => { console.log('printed by the tool'); process.stdout.write('written by the tool\\n'); return 'done'; }`,
        "console.log('printed on import');",
      ),
    });
    const server = await serve(folder);
    server.say(INITIALIZE);
    server.say({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'loud' } });
    await server.said('"id":1');
    server.child.stdin.end();
    const { stdout, stderr } = await server.ended;
    const lines = stdout.trimEnd().split('\n');
    expect(lines.map((line) => (JSON.parse(line) as { id: number }).id)).toEqual([0, 1]);
    for (const printed of ['printed by the tool', 'written by the tool', 'printed on import']) {
      expect(stderr).toContain(printed);
    }
  });

  it('writes nothing but the protocol to stdout, whatever a tool or its child writes to fd 1', async () => {
    const folder = await folderWith({
      'loud.js': toolSource(
        `run: () => {
          writeSync(1, 'written to fd 1\\n');
          execFileSync('sh', ['-c', 'echo printed by a child'], { stdio: 'inherit' });
          return 'done';
        }`,
        "import { execFileSync } from 'node:child_process'; import { writeSync } from 'node:fs';",
      ),
    });
    const server = await serve(folder);
    server.say(INITIALIZE);
    server.say({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'loud' } });
    await server.said('"id":1');
    server.child.stdin.end();
    const { stdout, stderr } = await server.ended;
    const lines = stdout.trimEnd().split('\n');
    expect(lines.map((line) => (JSON.parse(line) as { id: number }).id)).toEqual([0, 1]);
    for (const printed of ['written to fd 1', 'printed by a child']) expect(stderr).toContain(printed);
  });

  it("leaves no process of its tools' behind when it is killed, though they compute", async () => {
    const folder = await folderWith({
      'spin.js': toolSource('run: (_, { log }) => { log("info", `pid ${process.pid}`); while (true); }'),
    });
    const server = await serve(folder);
    server.say(INITIALIZE);
    server.say({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'spin' } });
    const [, pid] = await server.saidMatch(/pid (\d+)/);
    expect(Number(pid)).not.toBe(server.child.pid);
    server.child.kill('SIGKILL');
    await server.ended;
    while (isAlive(Number(pid))) await new Promise(setImmediate);
    expect(isAlive(Number(pid))).toBe(false);
  });

  it('leaves no process behind when it is killed while a module keeps the reading of it busy', async () => {
    const folder = await folderWith({
      'spin.js': `import { writeFileSync } from 'node:fs';
        writeFileSync(new URL('pid', import.meta.url), String(process.pid)); while (true);`,
    });
    const server = await serve(folder);
    const pid = await pidIn(join(folder, 'pid'));
    server.child.kill('SIGKILL');
    await server.ended;
    while (isAlive(pid)) await new Promise(setImmediate);
    expect(isAlive(pid)).toBe(false);
  });

  it('answers who asks what it is before it has read the tools, and what concerns them afterwards', async () => {
    const folder = await folderWith({
      'slow.js': toolSource(
        '',
        `
        import { existsSync } from 'node:fs';
        while (!existsSync(new URL('go', import.meta.url))) await new Promise((resolve) => setTimeout(resolve, 5));`,
      ),
    });
    const server = await serve(folder);
    server.say(INITIALIZE);
    server.say({ jsonrpc: '2.0', id: 1, method: 'tools/list' });
    server.say({ jsonrpc: '2.0', id: 2, method: 'ping' });
    server.say({
      jsonrpc: '2.0',
      id: 3,
      method: 'server/discover',
      params: {
        _meta: {
          'io.modelcontextprotocol/protocolVersion': '2026-07-28',
          'io.modelcontextprotocol/clientInfo': { name: 'test', version: '1' },
          'io.modelcontextprotocol/clientCapabilities': {},
        },
      },
    });
    for (const id of [0, 2, 3]) await server.said(`"id":${id}`);
    expect(server.stdout).not.toContain('"id":1');
    await writeFile(join(folder, 'go'), '');
    await server.said('"id":1');
    expect(server.stdout).toContain('"name":"slow"');
    server.child.stdin.end();
    expect((await server.ended).code).toBe(0);
  });

  it('has nothing to say on stderr of thousands of requests at once', async () => {
    const folder = await folderWith({ 'a.js': toolSource('') });
    const server = await serve(folder);
    server.say(INITIALIZE);
    await server.said('"id":0');
    const pings = Array.from({ length: 5000 }, (_, n) => ({
      jsonrpc: '2.0',
      id: n + 1,
      method: 'tools/list',
    }));
    server.child.stdin.write(pings.map((ping) => `${JSON.stringify(ping)}\n`).join(''));
    await server.said('"id":5000');
    server.child.stdin.end();
    expect(await server.ended).toMatchObject({ code: 0, stderr: '' });
  });

  it('goes on where nobody reads what it says on stderr', async () => {
    const folder = await folderWith({
      'fail.js': toolSource("run: () => { throw new Error('x'.repeat(4096)); }"),
    });
    const child = spawn(process.execPath, [CLI, 'serve', '--tools', folder, '--store', 'memory']);
    onTestFinished(() => void child.kill('SIGKILL'));
    const say = (message: object) => child.stdin.write(`${JSON.stringify(message)}\n`);
    say(INITIALIZE);
    for (let id = 1; id <= 300; id++)
      say({ jsonrpc: '2.0', id, method: 'tools/call', params: { name: 'fail' } });
    let stdout = '';
    for await (const chunk of child.stdout.setEncoding('utf8')) {
      stdout += chunk as string;
      // The last calls, though the first have filled the pipe.
      if (stdout.includes('"id":300}')) break;
    }
    expect(stdout).toContain('"id":300}');
  });

  it('drains, and ends with 0, when nobody reads what it answers any more', async () => {
    const folder = await folderWith({
      'report.js': toolSource(
        `workload: 'io', run: async (_, { progress }) => {
          for (let n = 0; n < 20; n++) { progress(n); await new Promise((resolve) => setTimeout(resolve, 60)); }
          writeFileSync(new URL('reported', import.meta.url), '');
        }`,
        "import { writeFileSync } from 'node:fs';",
      ),
    });
    const server = await serve(folder);
    server.say(INITIALIZE);
    const params = { name: 'report', task: {}, _meta: { progressToken: 'p' } };
    server.say({ jsonrpc: '2.0', id: 1, method: 'tools/call', params });
    await server.said('notifications/progress');
    server.child.stdout.destroy();
    expect(await server.ended).toMatchObject({ code: 0, stderr: '' });
    expect(existsSync(join(folder, 'reported'))).toBe(true);
  });

  it('ends with 0 when its input ends', async () => {
    const folder = await folderWith({ 'a.js': toolSource('') });
    const server = await serve(folder);
    server.say(INITIALIZE);
    await server.said('"id":0');
    server.child.stdin.end();
    expect((await server.ended).code).toBe(0);
  });

  it.each(['SIGTERM', 'SIGINT'] as const)(
    'lets a running task finish on %s, and ends with 0',
    async (signal) => {
      const folder = await folderWith({
        'slow.js': toolSource(
          `workload: 'io', run: async (_, { progress }) => {
          for (let n = 0; n < 10; n++) { progress(n); await new Promise((resolve) => setTimeout(resolve, 30)); }
          return 'finished';
        }`,
        ),
      });
      const server = await serve(folder);
      server.say(INITIALIZE);
      server.say({
        jsonrpc: '2.0',
        id: 1,
        method: 'tools/call',
        params: { name: 'slow', _meta: { progressToken: 'p' } },
      });
      await server.said('notifications/progress');
      server.child.kill(signal);
      const { code, stdout } = await server.ended;
      expect(code).toBe(0);
      expect(stdout).toContain('finished');
    },
  );

  describe('told to stop while a task computes', () => {
    const spinning = async (...options: string[]) => {
      const folder = await folderWith({
        'spin.js': toolSource('run: (_, { log }) => { log("info", `pid ${process.pid}`); while (true); }'),
      });
      const server = await serve(folder, ...options);
      server.say(INITIALIZE);
      server.say({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'spin' } });
      const [, pid] = await server.saidMatch(/pid (\d+)/);
      return { server, pid: Number(pid) };
    };

    it('fails the task as interrupted when the time to drain is over, refuses new work, and ends with 0', async () => {
      const { server, pid } = await spinning('--drain', '0.5');
      server.child.kill('SIGTERM');
      // Until the signal has arrived, more work is taken: it fails with the rest.
      const call = { jsonrpc: '2.0', id: 2, method: 'tools/call', params: { name: 'spin' } };
      server.say(call);
      const { code, stdout } = await server.ended;
      expect(code).toBe(0);
      const answers = stdout
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line) as { id?: number; error?: object });
      expect(answers.find(({ id }) => id === 1)?.error).toMatchObject({
        message: expect.stringMatching(/interrupted/),
      });
      expect(answers.find(({ id }) => id === 2)?.error).toMatchObject({ code: -32000 });
      expect(isAlive(pid)).toBe(false);
    });

    it('ends at once on a second signal', async () => {
      const { server, pid } = await spinning('--drain', '600');
      server.child.kill('SIGTERM');
      // Refused: the first signal has arrived.
      for (let id = 2; ; id++) {
        server.say({ jsonrpc: '2.0', id, method: 'tools/call', params: { name: 'spin', task: {} } });
        await server.said(`"id":${id}`);
        if (server.stdout.includes('takes no new work')) break;
      }
      server.child.kill('SIGINT');
      expect((await server.ended).code).toBe(1);
      while (isAlive(pid)) await new Promise(setImmediate);
    });

    it('does the same when the client closes its input', async () => {
      const { server, pid } = await spinning('--drain', '0.1');
      server.child.stdin.end();
      expect((await server.ended).code).toBe(0);
      expect(isAlive(pid)).toBe(false);
    });
  });

  describe('call', () => {
    const tools = {
      'add.js': toolSource(
        'input: z.object({ a: z.number(), b: z.number() }), run: ({ a, b }, { progress }) => { progress(1, 2); return { sum: a + b }; }',
      ),
      'fail.js': toolSource("run: () => { throw new Error('no luck'); }"),
    };

    it('prints the result of one call, and its progress on stderr', async () => {
      const folder = await folderWith(tools);
      expect(await start('call', 'add', '{"a":1,"b":2}', '--tools', folder).ended).toEqual({
        code: 0,
        stdout: '{"sum":3}\n',
        stderr: '1 of 2\n',
      });
    });

    it('prints what the tool reports as its own failure, with exit code 1', async () => {
      const folder = await folderWith(tools);
      expect(await start('call', 'fail', '--tools', folder).ended).toMatchObject({
        code: 1,
        stdout: 'no luck\n',
      });
    });

    it('says that there is no such tool, with exit code 1', async () => {
      const folder = await folderWith(tools);
      expect(await start('call', 'nothing', '--tools', folder).ended).toEqual({
        code: 1,
        stdout: '',
        stderr: 'mcp-taskpool: Unknown tool: nothing\n',
      });
    });

    it.each(['[1]', '{a: 1}'])('refuses arguments that are no JSON object: %s', async (args) => {
      const { code, stderr } = await start('call', 'add', args).ended;
      expect(stderr).toContain(
        `mcp-taskpool: command-argument value '${args}' is invalid for argument 'arguments'.`,
      );
      expect(code).toBe(2);
    });
  });
});
