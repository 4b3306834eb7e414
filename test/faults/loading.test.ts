import { createServer } from 'mcp-taskpool';
import { describe, expect, it, onTestFinished } from 'vitest';
import { folderWith, toolSource } from '../folder.ts';
import { ChildTransport } from './child-transport.ts';
import { EVERYWHERE, stage } from './scene.ts';

const GOOD = toolSource('');

/** What each module does when it is imported, and what is said of it. */
const BAD: Record<string, [string, RegExp]> = {
  'exits.js': ['process.exit(3);', /exits\.js: .*code 3/],
  'hangs.js': [`await new Promise(() => {}); ${GOOD}`, /hangs\.js: /],
  'is_no_tool.js': ['export default {};', /is_no_tool\.js: the default export is not a tool/],
  'rejects.js': [
    "void Promise.reject(new Error('rejected')); await new Promise(() => {});",
    /rejects\.js: .*rejected/,
  ],
  'spins.js': ['while (true);', /spins\.js: did not load within 0\.5 s/],
  'throws.js': ["throw new Error('thrown');", /throws\.js: thrown/],
  'throws_undefined.js': ['throw undefined;', /throws_undefined\.js: undefined/],
};
/** In processes only: the other kind of module shares the server's. */
const WORSE: Record<string, [string, RegExp]> = {
  'crashes.js': ["process.kill(process.pid, 'SIGSEGV'); while (true);", /crashes\.js: .*SIGSEGV/],
  'grows.js': ['const all = []; for (;;) all.push(new Array(1e6).fill(1));', /grows\.js: /],
};

const sourcesOf = (modules: Record<string, [string, RegExp]>) =>
  Object.fromEntries(Object.entries(modules).map(([name, [source]]) => [name, source]));

describe.each(['thread', 'process'] as const)(
  'A module that is at fault, with tools in a %s',
  (isolation) => {
    const modules = isolation === 'process' ? { ...BAD, ...WORSE } : BAD;
    const patterns = Object.values(modules).map(([, pattern]) => pattern);

    it('keeps the server from starting, which names each such file', { timeout: 60_000 }, async () => {
      const folder = await folderWith({ ...sourcesOf(modules), 'good.js': GOOD });
      const starting = createServer({ tools: folder, isolation, loadTimeoutMs: 500 });
      const error = await starting.then(
        (server) => server.close(),
        (error: unknown) => error as { problems: string[] },
      );
      expect(error?.problems).toHaveLength(patterns.length);
      for (const pattern of patterns) expect(error!.problems).toContainEqual(expect.stringMatching(pattern));
    });

    it('is left out where the server may, which says so', { timeout: 60_000 }, async () => {
      const folder = await folderWith({ ...sourcesOf(modules), 'good.js': GOOD });
      const warnings: string[] = [];
      const log = {
        info: () => {},
        error: () => {},
        warn: (_: object, message: string) => void warnings.push(message),
      };
      const server = await createServer({ tools: folder, isolation, loadTimeoutMs: 500, lenient: true, log });
      onTestFinished(() => server.close());
      expect(server.tools).toEqual(['good']);
      for (const pattern of patterns) expect(warnings).toContainEqual(expect.stringMatching(pattern));
    });

    const start = async (files: Record<string, string>, ...args: string[]) => {
      const folder = await folderWith(files);
      const child = new ChildTransport(['--tools', folder, '--isolation', isolation, ...args]);
      onTestFinished(() => child.close());
      return child;
    };

    it('ends the command with its name on standard error', async () => {
      const { 'exits.js': exits, 'throws.js': throws } = sourcesOf(modules);
      const child = await start({ 'exits.js': exits!, 'throws.js': throws!, 'good.js': GOOD });
      expect(await child.ended).toEqual({ code: 1, signal: null });
      expect(child.stderr).toMatch(/exits\.js: .*code 3/);
      expect(child.stderr).toMatch(/throws\.js: thrown/);
      expect(child.strayLines).toEqual([]);
    });

    it('is left out with --lenient, and what it prints is no message', async () => {
      const print = "console.log('printed on import'); process.stdout.write('written on import\\n');";
      // A thread has the server's own fd 1.
      const get =
        isolation === 'thread' ? '' : "(await import('node:fs')).writeSync(1, 'written to fd 1\\n');";
      const child = await start(
        { 'throws.js': `${print} ${get} throw new Error('thrown');`, 'good.js': GOOD },
        '--lenient',
      );
      await child.close();
      expect(await child.ended).toEqual({ code: 0, signal: null });
      expect(child.stderr).toMatch(/left out: .*throws\.js: thrown/);
      for (const printed of [
        'printed on import',
        'written on import',
        ...(get === '' ? [] : ['written to fd 1']),
      ])
        expect(child.stderr).toContain(printed);
      expect(child.strayLines).toEqual([]);
    });
  },
);

describe('A module that never loads', () => {
  it('is given 10 s where nothing else is said', async () => {
    const folder = await folderWith({ 'spins.js': 'while (true);', 'good.js': GOOD });
    const child = new ChildTransport(['--tools', folder]);
    onTestFinished(() => child.close());
    expect(await child.ended).toEqual({ code: 1, signal: null });
    expect(child.stderr).toMatch(/spins\.js: did not load within 10 s/);
  });
});

/** A tool whose module does this from the second time on that it is imported, which is when it is first called. */
const onSecondLoad = (body: string) => `...(await (async () => {
  const { existsSync, writeFileSync } = process.getBuiltinModule('node:fs');
  const mark = new URL(import.meta.url.replace(/js$/, 'loaded'));
  if (existsSync(mark)) { ${body} }
  writeFileSync(mark, '');
})())`;

describe('A module that is at fault only in the pool', () => {
  const tools = {
    spins: `timeoutMs: 300, ${onSecondLoad('for (;;);')}`,
    hangs: `timeoutMs: 300, ${onSecondLoad('await new Promise(() => {});')}`,
    exits: onSecondLoad('process.exit(4);'),
    throws: onSecondLoad("throw new Error('thrown on import');"),
  };
  stage(EVERYWHERE, tools, (scene) => {
    it.each([
      ['spins', 'spins timed out after 300 ms'],
      ['hangs', 'hangs timed out after 300 ms'],
      ['exits', 'exits did not finish: the thread exited with code 4'],
    ])('fails the task that imports it: %s', async (tool, message) => {
      await scene.during(async (client) => {
        await expect(client.startTask(tool).result()).rejects.toThrow(message);
      });
    });

    it('fails the task that imports it with what it throws', async () => {
      const { isError, text } = await scene.during((client) => client.startTask('throws').result());
      expect({ isError, text }).toEqual({ isError: true, text: 'thrown on import' });
    });
  });
});
