import { execFile } from 'node:child_process';
import { readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { SqliteStore } from '../../src/stores/sqlite.ts';
import { folderWith, toolSource } from '../folder.ts';
import type { Task } from '../../src/tasks/task.ts';
import { emptyFolder, newGate, until, type Gate } from '../wire/fixtures.ts';
import { CLI, INITIALIZE, start, startWith } from './command.ts';

const TOOLS = {
  'echo.js': toolSource('input: z.object({ text: z.string() }), run: ({ text }) => text'),
  'fail.js': toolSource(`run: () => { throw new Error('no luck\\n\\u001b[31mtwice'); }`),
  'slow.js': toolSource('timeoutMs: 20, run: () => { while (true); }'),
  'picture.js': toolSource(
    `run: () => ({ content: [{ type: 'image', data: 'abcd', mimeType: 'image/png' }, { type: 'text', text: 'it' }] })`,
  ),
  'large.js': toolSource("run: () => '0123456789'.repeat(100_000)"),
  'wait.js': toolSource(
    `workload: 'io', input: z.object({ path: z.string() }),
     run: async ({ path }, { signal }) => {
       while (!existsSync(path)) await new Promise((resolve) => setTimeout(resolve, 5));
       return 'the file exists';
     }`,
    "import { existsSync } from 'node:fs';",
  ),
  'hold.js': toolSource('run: (_, { signal }) => { while (true) signal.throwIfAborted(); }'),
};

/** A server on a file, and the command line that looks into it. */
async function scene() {
  const tools = await folderWith(TOOLS);
  const path = join(await emptyFolder(), 'tasks.db');
  const store = `sqlite:${path}`;
  const serve = (...options: string[]) => {
    const server = start('serve', '--tools', tools, '--store', store, '--threads', '1', ...options);
    server.say(INITIALIZE);
    const begin = async (name: string, args: object = {}): Promise<string> => {
      const { result } = await server.ask('tools/call', { name, arguments: args, task: {} });
      return (result as { task: { taskId: string } }).task.taskId;
    };
    return {
      ...server,
      begin,
      status: async (taskId: string) =>
        ((await server.ask('tasks/get', { taskId }))['result'] as { status: string }).status,
      run: async (name: string, args: object = {}) => {
        const taskId = await begin(name, args);
        await server.ask('tasks/result', { taskId });
        return taskId;
      },
      kill: async () => {
        server.child.kill('SIGKILL');
        await server.ended;
      },
    };
  };
  const tasks = (...args: string[]) => start('tasks', ...args, '--store', store).ended;
  const listed = async (...args: string[]) => {
    const { stdout } = await tasks('list', '--json', ...args);
    return stdout
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as { taskId: string; status: string; tool: string });
  };
  return { tools, path, store, serve, tasks, listed };
}

/** A file with tasks of any kind, of which nobody has been told. */
async function kept(...tasks: (Partial<Task> & { taskId: string })[]) {
  const path = join(await emptyFolder(), 'tasks.db');
  const store = await SqliteStore.open({ path });
  const now = Date.now();
  const base: Omit<Task, 'taskId'> = {
    owner: 'ada',
    call: { tool: 'noop', args: {}, lane: 'cpu' },
    state: 'queued',
    createdAt: now,
    updatedAt: now,
    ttlMs: 3_600_000,
    expiresAt: now + 3_600_000,
    pollIntervalMs: 1000,
  };
  await Promise.all(tasks.map((task) => store.create({ ...base, ...task })));
  await store.close();
  return {
    path,
    tasks: (...args: string[]) => start('tasks', ...args, '--store', `sqlite:${path}`).ended,
  };
}

const UNKNOWN = '00000000-0000-4000-8000-000000000000';

describe('mcp-taskpool tasks list', () => {
  it('prints the tasks of all owners as a table, the newest first, while the server runs and afterwards', async () => {
    const { serve, tasks } = await scene();
    const server = serve();
    const first = await server.run('echo', { text: 'a' });
    const second = await server.run('fail');
    const { code, stdout, stderr } = await tasks('list');
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const lines = stdout.trimEnd().split('\n');
    expect(lines).toHaveLength(3);
    expect(lines[0]).toMatch(/^ID +TOOL +OWNER +STATUS +AGE +ATTEMPT +MESSAGE$/);
    // On one line, and without what a terminal would obey.
    expect(lines[1]).toMatch(
      new RegExp(String.raw`^${second}  fail  local  failed +\d+s +1 +no luck \[31mtwice`),
    );
    expect(lines[2]).toMatch(new RegExp(String.raw`^${first}  echo  local  completed +\d+s +1$`));
    server.child.stdin.end();
    await server.ended;
    const later = (await tasks('list')).stdout.split('\n');
    expect(later.map((line) => line.split(' ', 1)[0])).toEqual(['ID', second, first, '']);
  });

  it('prints JSON, a task a line, with --json', async () => {
    const { serve, tasks } = await scene();
    const server = serve();
    const taskId = await server.run('echo', { text: 'a' });
    await server.run('echo', { text: 'b' });
    const { stdout } = await tasks('list', '--json');
    const lines = stdout.trimEnd().split('\n');
    expect(lines).toHaveLength(2);
    expect(JSON.parse(lines[1]!)).toEqual({
      taskId,
      tool: 'echo',
      owner: 'local',
      status: 'completed',
      createdAt: expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/),
      lastUpdatedAt: expect.any(String),
      startedAt: expect.any(String),
      endedAt: expect.any(String),
      expiresAt: expect.any(String),
      ttlMs: 3_600_000,
      attempt: 1,
    });
  });

  it('takes those of a status, of an owner, and as many as are wanted', async () => {
    const { tasks } = await kept(
      { taskId: 'a', owner: 'ada', state: 'queued' },
      { taskId: 'b', owner: 'bob "the\n2nd"', state: 'running' },
      { taskId: 'c', owner: 'ada', state: 'input_required' },
      { taskId: 'd', owner: 'ada', state: 'queued' },
    );
    const ids = async (...args: string[]) =>
      [...(await tasks('list', '--json', ...args)).stdout.matchAll(/"taskId":"(.)"/g)]
        .map(([, id]) => id)
        .join('');
    expect(await ids()).toBe('dcba');
    expect(await ids('--status', 'queued')).toBe('da');
    expect(await ids('--status', 'queued', 'running')).toBe('dba');
    expect(await ids('--status', 'queued', '--status', 'input_required')).toBe('dca');
    expect(await ids('--owner', 'bob "the\n2nd"')).toBe('b');
    expect(await ids('--owner', 'ada', '--status', 'queued', '--limit', '1')).toBe('d');
    expect(await ids('--owner', 'nobody')).toBe('');
    const limited = await tasks('list', '--limit', '3');
    expect(limited.stdout.trimEnd().split('\n')).toHaveLength(4);
    expect(limited.stderr).toContain('--limit');
    expect((await tasks('list', '--limit', '4')).stderr).toBe('');
  });

  it('passes over what has expired', async () => {
    const { tasks } = await kept({ taskId: 'old', expiresAt: Date.now() - 1 }, { taskId: 'new' });
    const { stdout } = await tasks('list', '--json');
    expect(stdout).toContain('new');
    expect(stdout).not.toContain('old');
    expect(await tasks('get', 'old')).toMatchObject({ code: 1 });
  });

  it('says that there is none', async () => {
    const { tasks } = await kept();
    expect(await tasks('list')).toEqual({ code: 0, stdout: 'No tasks\n', stderr: '' });
    expect(await tasks('list', '--json')).toEqual({ code: 0, stdout: '', stderr: '' });
  });

  it('finds the file of a tools folder in the state folder', async () => {
    const tools = await folderWith(TOOLS);
    const environment = { XDG_STATE_HOME: await emptyFolder() };
    const server = startWith(environment, 'serve', '--tools', tools);
    server.say(INITIALIZE);
    await server.ask('tools/call', { name: 'echo', arguments: { text: 'a' }, task: {} });
    const { stdout } = await startWith(environment, 'tasks', 'list', '--tools', tools).ended;
    expect(stdout).toContain('echo');
  });

  it('ends well where nobody reads all that it prints', async () => {
    const many = Array.from({ length: 3000 }, (_, n) => ({
      taskId: `task-${n}`,
      statusMessage: 'x'.repeat(500),
    }));
    const { path } = await kept(...many);
    for (const form of ['--json', '']) {
      const command = `set -o pipefail; "${process.execPath}" "${CLI}" tasks list --limit 3000 ${form} --store "sqlite:${path}" | head -n 2`;
      const { stdout, stderr } = await promisify(execFile)('bash', ['-c', command]);
      expect(stdout.trimEnd().split('\n')).toHaveLength(2);
      expect(stderr).toBe('');
    }
  });
});

describe('mcp-taskpool tasks get', () => {
  it('prints all that is known of a task', async () => {
    const { serve, tasks } = await scene();
    const taskId = await serve().run('echo', { text: 'the words' });
    const { code, stdout } = await tasks('get', taskId);
    expect(code).toBe(0);
    for (const fact of [
      `^id +${taskId}$`,
      '^tool +echo$',
      '^owner +local$',
      '^status +completed$',
      String.raw`^ended +\d{4}-.*Z \(\d+s ago\)$`,
      String.raw`^expires +.* \(in 59m\)$`,
      '^arguments +{"text":"the words"}$',
      '^result +{"content":\\[{"type":"text","text":"the words"}\\]}$',
    ])
      expect(stdout).toMatch(new RegExp(fact, 'm'));
    const json = JSON.parse((await tasks('get', taskId, '--json')).stdout) as object;
    expect(json).toMatchObject({
      taskId,
      status: 'completed',
      arguments: { text: 'the words' },
      outcome: { type: 'result', isError: false, result: { content: [{ text: 'the words' }] } },
    });
  });

  it('tells of a task that runs, and of the server that has it', async () => {
    const { serve, tasks } = await scene();
    const server = serve();
    const taskId = await server.begin('hold');
    await until(async () => (await tasks('get', taskId)).stdout.includes('running'));
    const pid = server.child.pid!;
    expect((await tasks('get', taskId)).stdout).toMatch(new RegExp(`^server +process ${pid}$`, 'm'));
    expect(JSON.parse((await tasks('get', taskId, '--json')).stdout)).toMatchObject({
      status: 'running',
      server: { pid, gone: false },
    });
    await server.kill();
    expect((await tasks('get', taskId)).stdout).toMatch(
      new RegExp(`^server +process ${pid}, which has gone`, 'm'),
    );
  });

  it('tells what a task asks, what it was answered, and what its next run goes on from', async () => {
    const question = { kind: 'input', params: { message: 'Who?' } } as const;
    const { tasks } = await kept({
      taskId: 'a',
      state: 'input_required',
      attempt: 3,
      failures: 1,
      interruptions: 1,
      checkpoint: { value: { at: 7 } },
      call: { tool: 't', args: {}, lane: 'cpu', idempotent: true, retry: { attempts: 3, backoff: 1 } },
      asked: [
        { key: 'first', question, answer: { type: 'answer', result: { name: 'Ada' } } },
        { key: 'second', question },
      ],
    });
    const { stdout } = await tasks('get', 'a');
    for (const fact of [
      '^attempt +3 of 4$',
      '^interrupted +1 time$',
      '^checkpoint +{"at":7}$',
      '^question +first: .*"Who\\?".*answered: .*"Ada"',
      '^question +second: .*not answered yet$',
      '^server +none: ',
    ])
      expect(stdout).toMatch(new RegExp(fact, 'm'));
    expect(JSON.parse((await tasks('get', 'a', '--json')).stdout)).toMatchObject({
      checkpoint: { at: 7 },
      questions: [{ key: 'first' }, { key: 'second' }],
    });
  });
});

describe('mcp-taskpool tasks result', () => {
  it('prints the result as call does', async () => {
    const { serve, tasks } = await scene();
    const server = serve();
    expect(await tasks('result', await server.run('echo', { text: 'the words' }))).toEqual({
      code: 0,
      stdout: 'the words\n',
      stderr: '',
    });
    expect((await tasks('result', await server.run('picture'))).stdout).toBe(
      '{"type":"image","data":"4 characters of base64","mimeType":"image/png"}\nit\n',
    );
    const large = await server.run('large');
    expect((await tasks('result', large)).stdout).toBe(`${'0123456789'.repeat(100_000)}\n`);
    const json = JSON.parse((await tasks('result', large, '--json')).stdout) as object;
    expect(json).toMatchObject({ content: [{ type: 'text' }] });
  });

  it('prints what the tool reports as its own failure, with exit code 1', async () => {
    const { serve, tasks } = await scene();
    expect(await tasks('result', await serve().run('fail'))).toMatchObject({
      code: 1,
      stdout: expect.stringContaining('no luck'),
      stderr: '',
    });
  });

  it('says on stderr why there is none, with exit code 1', async () => {
    const { serve, tasks } = await scene();
    const server = serve();
    const [slow, hold] = [await server.run('slow'), await server.begin('hold')];
    expect(await tasks('result', slow)).toEqual({
      code: 1,
      stdout: '',
      stderr: 'mcp-taskpool: slow timed out after 20 ms\n',
    });
    await until(async () => (await server.status(hold)) === 'working');
    const early = await tasks('result', hold);
    expect(early).toMatchObject({ code: 1, stdout: '' });
    expect(early.stderr).toMatch(`mcp-taskpool: Task ${hold} has not ended: it is `);
    await server.ask('tasks/cancel', { taskId: hold });
    expect(await tasks('result', hold)).toEqual({
      code: 1,
      stdout: '',
      stderr: `mcp-taskpool: Task ${hold} was cancelled\n`,
    });
  });
});

describe('mcp-taskpool tasks cancel', () => {
  it('has a running server cancel a task that runs, and one that waits, and whoever waits for it hears of it', async () => {
    const { serve, tasks } = await scene();
    const server = serve();
    const [runs, waits] = [await server.begin('hold'), await server.begin('hold')];
    for (const taskId of [waits, runs]) {
      const result = server.ask('tasks/result', { taskId });
      expect(await tasks('cancel', taskId)).toEqual({
        code: 0,
        stdout: `Task ${taskId} is cancelled\n`,
        stderr: '',
      });
      await result;
      expect(await server.status(taskId)).toBe('cancelled');
    }
    // Its thread is free again.
    await server.run('echo', { text: 'a' });
  });

  it('cancels a task whose server has gone, and the next server does not run it', async () => {
    const { serve, tasks, listed } = await scene();
    const server = serve();
    const gate: Gate = await newGate();
    const [runs, waits] = [await server.begin('hold'), await server.begin('wait', { path: gate.path })];
    await until(async () => (await listed('--status', 'running')).length === 2);
    await server.kill();
    const json = JSON.parse((await tasks('cancel', runs, '--json')).stdout) as object;
    expect(json).toMatchObject({ taskId: runs, status: 'cancelled', outcome: { type: 'cancelled' } });
    const next = serve();
    expect(await next.status(runs)).toBe('cancelled');
    // It was no word for this one.
    await until(async () => (await next.status(waits)) === 'failed');
  });

  it('cancels a task that no server has', async () => {
    const { tasks } = await kept({ taskId: 'a', state: 'queued' });
    expect(await tasks('cancel', 'a')).toMatchObject({ code: 0 });
    expect((await tasks('get', 'a')).stdout).toMatch(/^status +cancelled$/m);
  });

  it('says that the task has ended, with exit code 1', async () => {
    const { serve, tasks } = await scene();
    const server = serve();
    const taskId = await server.run('echo', { text: 'a' });
    expect(await tasks('cancel', taskId)).toEqual({
      code: 1,
      stdout: '',
      stderr: `mcp-taskpool: Task ${taskId} has already ended: it is completed\n`,
    });
  });

  it('gives up after --timeout where the server does not answer, and its word is heard later', async () => {
    const { serve, tasks } = await scene();
    const server = serve();
    const taskId = await server.begin('hold');
    server.child.kill('SIGSTOP');
    const { code, stderr } = await tasks('cancel', taskId, '--timeout', '0.3');
    expect(code).toBe(1);
    expect(stderr).toMatch(
      new RegExp(`^mcp-taskpool: .*process ${server.child.pid}, has not cancelled it within 0.3 s.*\n$`),
    );
    server.child.kill('SIGCONT');
    await until(async () => (await server.status(taskId)) === 'cancelled');
  });
});

describe('mcp-taskpool tasks purge', () => {
  it('removes what has ended, says how much, and leaves what has not', async () => {
    const { serve, tasks, listed, path } = await scene();
    const server = serve();
    const old = await server.run('echo', { text: 'a' });
    await server.run('large');
    const hold = await server.begin('hold');
    expect(await tasks('purge')).toEqual({
      code: 0,
      stdout: `Removing 2 ended tasks of ${path}\n`,
      stderr: '',
    });
    expect((await listed()).map(({ taskId }) => taskId)).toEqual([hold]);
    // The server knows it no more, and goes on.
    expect(await server.ask('tasks/get', { taskId: old })).toMatchObject({ error: { code: -32602 } });
    await server.ask('tasks/cancel', { taskId: hold });
    expect((await tasks('purge', '--json')).stdout).toBe('{"removed":1}\n');
    expect((await tasks('purge')).stdout).toBe(`Removing 0 ended tasks of ${path}\n`);
  });

  it('removes only what ended long enough ago with --older-than', async () => {
    const ended = (taskId: string, agoMs: number) => ({
      taskId,
      state: 'completed' as const,
      endedAt: Date.now() - agoMs,
      outcome: { type: 'result' as const, result: { content: [] }, isError: false },
    });
    const { tasks } = await kept(ended('new', 60_000), ended('old', 7_200_000));
    expect((await tasks('purge', '--older-than', '3h')).stdout).toContain('Removing 0 ended tasks');
    expect((await tasks('purge', '--older-than', '90m')).stdout).toContain('Removing 1 ended task ');
    const { stdout } = await tasks('list');
    expect(stdout).toContain('new');
    expect(stdout).not.toContain('old');
  });

  it('gives the room back that they took', async () => {
    const { serve, tasks, path } = await scene();
    const server = serve();
    const size = async () => (await stat(path)).size;
    for (let n = 0; n < 3; n++) await server.run('echo', { text: randomText(2_000_000) });
    server.child.stdin.end();
    await server.ended;
    const before = await size();
    await tasks('purge');
    expect(await size()).toBeLessThan(before / 10);
  });
});

describe('mcp-taskpool tasks', () => {
  it.each([
    [['list', '--status', 'lost'], "option '--status <status...>' argument 'lost' is invalid."],
    [['list', '--limit', '0'], "option '--limit <n>' argument '0' is invalid."],
    [['list', 'more'], "too many arguments for 'list'."],
    [
      ['list', '--store', 'memory'],
      "option '--store <store>' argument 'memory' is invalid. Expected sqlite:PATH.",
    ],
    [
      ['list', '--store', 'sqlite:a', '--tools', 'b'],
      "option '--store <store>' cannot be used with option '--tools <dir>'",
    ],
    [['get'], "missing required argument 'id'"],
    [['cancel', 'a', '--timeout', 'soon'], "option '--timeout <s>' argument 'soon' is invalid."],
    [['purge', '--older-than', '1y'], "option '--older-than <time>' argument '1y' is invalid."],
    [['remove'], "unknown command 'remove'"],
  ])('refuses %j with one line and exit code 2', async (args, line) => {
    const { code, stdout, stderr } = await start('tasks', ...args).ended;
    expect(stderr).toContain(`mcp-taskpool: ${line}`);
    expect(stderr.trimEnd().split('\n')).toHaveLength(1);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
  });

  it.each(['get', 'result', 'cancel'])(
    '%s says that there is no such task, with exit code 1',
    async (command) => {
      const { path, tasks } = await kept({ taskId: 'a' });
      for (const taskId of [UNKNOWN, '', '%', 'A']) {
        expect(await tasks(command, taskId)).toEqual({
          code: 1,
          stdout: '',
          stderr: `mcp-taskpool: No task ${taskId} in ${path}: it does not exist, or has expired\n`,
        });
      }
    },
  );

  it.each(['list', 'get a', 'result a', 'cancel a', 'purge'])(
    '%s says where it has looked for a file, and makes none',
    async (command) => {
      const folder = await emptyFolder();
      const path = join(folder, 'tasks.db');
      const args = command.split(' ');
      expect(await start('tasks', ...args, '--store', `sqlite:${path}`).ended).toEqual({
        code: 1,
        stdout: '',
        stderr: `mcp-taskpool: ${path}: no such file: no server has kept a task there\n`,
      });
      const tools = await folderWith({});
      const { code, stderr } = await startWith({ XDG_STATE_HOME: folder }, 'tasks', ...args, '--tools', tools)
        .ended;
      expect(code).toBe(1);
      expect(stderr).toMatch(new RegExp(`^mcp-taskpool: ${folder}/mcp-taskpool/tools-.*no such file.*\n$`));
      expect(await readdir(folder)).toEqual([]);
    },
  );

  it('says that there is no such tools folder', async () => {
    const { code, stderr } = await start('tasks', 'list', '--tools', '/no/such/folder').ended;
    expect(code).toBe(1);
    expect(stderr).toMatch(/^mcp-taskpool: \/no\/such\/folder: no such folder: .*--store.*\n$/);
  });

  it('leaves a file that is another program’s as it is', async () => {
    const path = join(await emptyFolder(), 'notes.db');
    await writeFile(path, 'somebody needs this '.repeat(500));
    for (const command of ['list', 'purge']) {
      const { code, stderr } = await start('tasks', command, '--store', `sqlite:${path}`).ended;
      expect(code).toBe(1);
      expect(stderr).toMatch(new RegExp(`^mcp-taskpool: ${path}: .*\n$`));
    }
    expect(await readFile(path, 'utf8')).toBe('somebody needs this '.repeat(500));
  });

  it('is no server on the file: what it looks at runs on, and is run once', async () => {
    const { serve, tasks } = await scene();
    const server = serve();
    const gate = await newGate();
    const taskId = await server.begin('wait', { path: gate.path });
    const looks = ['list', `get ${taskId}`, 'purge', 'list --json', `result ${taskId}`];
    await Promise.all(looks.map((look) => tasks(...look.split(' '))));
    expect(await server.status(taskId)).toBe('working');
    gate.open();
    await server.ask('tasks/result', { taskId });
    expect(JSON.parse((await tasks('get', taskId, '--json')).stdout)).toMatchObject({
      status: 'completed',
      attempt: 1,
    });
    // Not so quiet that a task that is nobody's would be taken over by looking at it.
    const left = await kept({ taskId: 'left', state: 'queued' });
    await left.tasks('list');
    expect((await left.tasks('get', 'left')).stdout).toMatch(/^server +none: /m);
  });
});

/** Text that cannot be made smaller. */
function randomText(length: number): string {
  let text = '';
  while (text.length < length) text += Math.random().toString(36).slice(2);
  return text;
}
