import { copyFile, mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { defaultStorePath } from '../../src/cli/store-place.ts';
import { folderWith, toolSource } from '../folder.ts';
import { emptyFolder } from '../wire/fixtures.ts';
import { INITIALIZE, start, startWith } from './command.ts';

const TOOLS = {
  'echo.js': toolSource('input: z.object({ text: z.string() }), run: ({ text }) => text'),
};

/** A tool that is not read before there is a file `go` beside it. */
const SLOW = toolSource(
  '',
  `import { existsSync } from 'node:fs';
  while (!existsSync(new URL('go', import.meta.url))) await new Promise((resolve) => setTimeout(resolve, 5));`,
);

type Server = ReturnType<typeof start>;

/** Starts a task, and gives its id when it has ended. */
async function ended(server: Server, text: string): Promise<string> {
  server.say(INITIALIZE);
  const created = await server.ask('tools/call', { name: 'echo', arguments: { text }, task: {} });
  const { taskId } = (created['result'] as { task: { taskId: string } }).task;
  await server.ask('tasks/result', { taskId });
  return taskId;
}

async function mode(path: string): Promise<string> {
  return ((await stat(path)).mode & 0o777).toString(8);
}

describe('mcp-taskpool serve --store', () => {
  it.each(['SIGKILL', 'end of input'] as const)(
    'stdio: a client that starts the server anew and asks for an old id gets it, after %s',
    async (end) => {
      const tools = await folderWith(TOOLS);
      const options = ['serve', '--tools', tools, '--store', `sqlite:${join(await emptyFolder(), 'a.db')}`];
      const first = start(...options);
      const taskId = await ended(first, 'from before');
      if (end === 'SIGKILL') first.child.kill(end);
      else first.child.stdin.end();
      await first.ended;
      const second = start(...options);
      second.say(INITIALIZE);
      expect(await second.ask('tasks/get', { taskId })).toMatchObject({
        result: { taskId, status: 'completed' },
      });
      expect(await second.ask('tasks/result', { taskId })).toMatchObject({
        result: { content: [{ type: 'text', text: 'from before' }] },
      });
      expect(await second.ask('tasks/list')).toMatchObject({ result: { tasks: [{ taskId }] } });
    },
  );

  it('keeps tasks in the state folder where it is told nothing, for each tools folder apart', async () => {
    const [one, other] = [await folderWith(TOOLS), await folderWith(TOOLS)];
    const environment = { XDG_STATE_HOME: join(await emptyFolder(), 'state') };
    const serve = (tools: string) => startWith(environment, 'serve', '--tools', tools);
    const first = serve(one);
    const taskId = await ended(first, 'one');
    const second = serve(one);
    second.say(INITIALIZE);
    expect(await second.ask('tasks/get', { taskId })).toMatchObject({ result: { status: 'completed' } });
    const stranger = serve(other);
    stranger.say(INITIALIZE);
    expect(await stranger.ask('tasks/get', { taskId })).toMatchObject({ error: { code: -32602 } });
    const folder = join(environment.XDG_STATE_HOME, 'mcp-taskpool');
    const files = (await readdir(folder)).filter((file) => file.endsWith('.db'));
    expect(files).toHaveLength(2);
    expect(files).toContain((await defaultStorePath(one)).split('/').at(-1));
    // Tasks hold what tools were given: they are nobody else's business.
    expect(await mode(folder)).toBe('700');
    for (const file of await readdir(folder)) expect(await mode(join(folder, file))).toBe('600');
  });

  it('keeps nothing on the disk with --store memory', async () => {
    const environment = { XDG_STATE_HOME: join(await emptyFolder(), 'state') };
    const tools = await folderWith(TOOLS);
    const server = startWith(environment, 'serve', '--tools', tools, '--store', 'memory');
    const taskId = await ended(server, 'one');
    server.child.stdin.end();
    await server.ended;
    await expect(stat(environment.XDG_STATE_HOME)).rejects.toThrow('ENOENT');
    const second = startWith(environment, 'serve', '--tools', tools, '--store', 'memory');
    second.say(INITIALIZE);
    expect(await second.ask('tasks/get', { taskId })).toMatchObject({ error: { code: -32602 } });
  });

  it('makes the file readable by its owner alone, whatever the umask and the folder', async () => {
    const store = join(await emptyFolder(), 'new', 'a.db');
    const server = start('serve', '--tools', await folderWith(TOOLS), '--store', `sqlite:${store}`);
    await ended(server, 'one');
    for (const file of await readdir(dirname(store)))
      expect([file, await mode(join(dirname(store), file))]).toEqual([file, '600']);
    expect(await mode(dirname(store))).toBe('700');
  });

  it.each([
    [
      ['--store', 'disk'],
      "option '--store <store>' argument 'disk' is invalid. Expected sqlite:PATH or memory.",
    ],
    [['--store', 'sqlite:'], "option '--store <store>' argument 'sqlite:' is invalid."],
    [['--max-store-mb', '0'], "option '--max-store-mb <n>' argument '0' is invalid."],
    [['--store-sync', 'off'], "option '--store-sync <mode>' argument 'off' is invalid."],
    [['--store', 'memory', '--max-store-mb', '9'], '--max-store-mb: has no meaning with --store memory'],
    [['--store', 'memory', '--store-sync', 'full'], '--store-sync: has no meaning with --store memory'],
  ])('refuses %j with one line and exit code 2', async (args, line) => {
    const { code, stdout, stderr } = await start('serve', ...args).ended;
    expect(stderr).toContain(`mcp-taskpool: ${line}`);
    expect(stderr.trimEnd().split('\n')).toHaveLength(1);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
  });

  it('takes the options of the file', async () => {
    const store = join(await emptyFolder(), 'a.db');
    const args = ['--store', `sqlite:${store}`, '--max-store-mb', '10', '--store-sync', 'normal'];
    const server = start('serve', '--tools', await folderWith(TOOLS), ...args);
    await ended(server, 'one');
    server.child.stdin.end();
    expect(await server.ended).toMatchObject({ code: 0, stderr: '' });
  });

  it.each<[string, string | Buffer]>([
    ['is no SQLite database', 'not a database, but somebody needs it '.repeat(100)],
    ['is damaged', Buffer.concat([Buffer.from('SQLite format 3\0'), Buffer.alloc(8000, 7)])],
  ])('does not start on a file that %s, says so on one line, and leaves it as it is', async (_, content) => {
    const store = join(await emptyFolder(), 'a.db');
    await writeFile(store, content);
    const server = start('serve', '--tools', await folderWith(TOOLS), '--store', `sqlite:${store}`);
    const { code, stdout, stderr } = await server.ended;
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toMatch(new RegExp(`^mcp-taskpool: ${store}: .+\n$`));
    expect(stderr).not.toContain('--store memory');
    expect((await readFile(store)).equals(Buffer.from(content))).toBe(true);
  });

  it('names the ways out where it is the default place that cannot be used', async () => {
    const tools = await folderWith(TOOLS);
    const state = await emptyFolder();
    const [file] = (await defaultStorePath(tools)).split('/').slice(-1);
    await mkdir(join(state, 'mcp-taskpool'));
    const store = join(state, 'mcp-taskpool', file!);
    await copyFile(new URL(import.meta.url), store);
    const server = startWith({ XDG_STATE_HOME: state }, 'serve', '--tools', tools);
    const { code, stderr } = await server.ended;
    expect(code).toBe(1);
    expect(stderr).toMatch(
      new RegExp(`^mcp-taskpool: ${store}: .*--store sqlite:PATH .*--store memory .*\n$`),
    );
  });

  it('says that the place of the file is none, where a file stands in the way of its folder', async () => {
    const file = join(await emptyFolder(), 'file');
    await writeFile(file, '');
    const server = start('serve', '--tools', await folderWith(TOOLS), '--store', `sqlite:${file}/a.db`);
    const { code, stderr } = await server.ended;
    expect(code).toBe(1);
    expect(stderr).toMatch(new RegExp(`^mcp-taskpool: ${file}/a.db: .*\n$`));
  });

  it('answers who asks what it is, though the file cannot be opened, and then ends', async () => {
    const store = join(await emptyFolder(), 'a.db');
    await writeFile(store, 'no database');
    const tools = await folderWith({ 'slow.js': SLOW });
    const server = start('serve', '--tools', tools, '--store', `sqlite:${store}`);
    server.say(INITIALIZE);
    await server.said('"id":0');
    await writeFile(join(tools, 'go'), '');
    expect((await server.ended).code).toBe(1);
  });

  // Where it is no part of Node it can be seen.
  it.runIf(process.platform === 'linux' && process.versions['sqlite'] === undefined)(
    'loads SQLite when it opens the file, and not before',
    async () => {
      const store = join(await emptyFolder(), 'a.db');
      const tools = await folderWith({ 'slow.js': SLOW, ...TOOLS });
      const server = start('serve', '--tools', tools, '--store', `sqlite:${store}`);
      const maps = () => readFile(`/proc/${server.child.pid}/maps`, 'utf8');
      server.say(INITIALIZE);
      await server.said('"id":0');
      expect(await maps()).not.toContain('sqlite');
      await writeFile(join(tools, 'go'), '');
      await server.ask('tools/list');
      expect(await maps()).toContain('sqlite');
    },
  );

  it('opens no file where the tools cannot be served', async () => {
    const store = join(await emptyFolder(), 'a.db');
    const tools = await folderWith({ 'bad.js': "throw new Error('broken')" });
    const { code } = await start('serve', '--tools', tools, '--store', `sqlite:${store}`).ended;
    expect(code).toBe(1);
    await expect(stat(store)).rejects.toThrow('ENOENT');
  });
});
