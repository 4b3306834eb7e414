import { describe, expect, it } from 'vitest';
import { OVER_STDIO, stage, type Scene } from './scene.ts';

const MB = 10;
const LINE = `'${'#'.repeat(1023)}\\n'`;

/** Standard error has all that was printed by now: one letter a tool. */
const expectPrinted = (scene: Scene, letter: string) =>
  expect
    .poll(() => scene.said.split(letter.repeat(1023)).length - 1, { timeout: 10_000, interval: 200 })
    .toBe(MB * 1024);

const printing = (letter: string, print: string, before = '') =>
  `run: async () => { ${before} const line = ${LINE.replaceAll('#', letter)}; for (let n = 0; n < ${MB * 1024}; n++) ${print}; return 'printed'; }`;

/*
 * Over stdio only: where a server is in memory its standard output carries no protocol, and what is printed
 * goes to the standard error of these tests.
 */
describe('A tool that prints 10 MB', () => {
  const tools = {
    log: printing('a', 'console.log(line.slice(0, -1))'),
    write: printing('b', 'process.stdout.write(line)'),
    // Each write waits for the one before it.
    drain: printing('c', 'await new Promise((written) => process.stdout.write(line, written))'),
  };
  stage(OVER_STDIO, tools, (scene) => {
    it.each([
      ['log', 'a'],
      ['write', 'b'],
      ['drain', 'c'],
    ])('prints on standard error, and finishes: %s', async (tool, letter) => {
      const { text } = await scene.during((client) => client.startTask(tool).result());
      expect(text).toBe('printed');
      await expectPrinted(scene, letter);
    });
  });
});

/*
 * In processes only: a thread shares the server's file descriptors, and its fd 1 is the one that carries
 * the protocol.
 */
describe('A tool that gets round its streams', () => {
  const tools = {
    fd_1: printing('d', 'writeSync(1, line)', "const { writeSync } = await import('node:fs');"),
    grandchild: `run: async () => {
      const { execFileSync } = await import('node:child_process');
      const code = \`const line = ${LINE.replaceAll('#', 'e').replaceAll('\\n', '\\\\\\\\n')}; for (let n = 0; n < ${MB * 1024}; n++) require('fs').writeSync(1, line)\`;
      execFileSync(process.execPath, ['-e', code], { stdio: 'inherit' });
      return 'printed';
    }`,
    survivor: `run: async () => {
      const { spawn } = await import('node:child_process');
      const child = spawn('sh', ['-c', 'sleep 0.2; echo printed by a survivor'], { stdio: 'inherit', detached: true });
      child.unref();
      return { child: child.pid };
    }`,
  };
  const settings = OVER_STDIO.filter(({ isolation }) => isolation === 'process');
  stage(settings, tools, (scene) => {
    it.each([
      ['fd_1', 'd'],
      ['grandchild', 'e'],
    ])('prints on standard error, and finishes: %s', async (tool, letter) => {
      const { text } = await scene.during((client) => client.startTask(tool).result());
      expect(text).toBe('printed');
      await expectPrinted(scene, letter);
    });

    it('prints there what a process says that it has left behind', async () => {
      await scene.during(async (client) => {
        await client.startTask('survivor');
        await expect.poll(() => scene.said).toContain('printed by a survivor');
      });
    });
  });
});
