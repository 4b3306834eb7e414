import { describe, expect, it } from 'vitest';
import { EVERYWHERE, IN_A_PROCESS, stage } from './scene.ts';

describe('A tool that ends its thread', () => {
  const tools = {
    exit_0: 'run: () => process.exit(0)',
    exit_7: 'run: () => process.exit(7)',
    exit_later: 'run: () => new Promise(() => setTimeout(() => process.exit(3), 10))',
    // A thread refuses this.
    abort: 'run: () => process.abort()',
  };
  stage(EVERYWHERE, tools, (scene) => {
    it.each([
      ['exit_0', 0],
      ['exit_7', 7],
      ['exit_later', 3],
    ])('fails, with the code: %s', async (tool, code) => {
      await scene.during(async (client) => {
        const task = client.startTask(tool);
        await expect(task.result()).rejects.toThrow(
          `${tool} did not finish: the thread exited with code ${code}`,
        );
        expect((await task.status()).status).toBe('failed');
      });
    });

    it('fails by what process.abort() throws there', async () => {
      await scene.during(async (client) => {
        const task = client.startTask('abort');
        const { isError, text } = await task.result();
        expect({ isError, text }).toEqual({ isError: true, text: expect.stringMatching(/abort\(\)/) });
        expect((await task.status()).status).toBe('failed');
      });
    });
  });
});

/** In processes only: in a thread this is the end of the server. */
describe('A tool that ends its process', () => {
  const tools = {
    abort_natively: "run: () => { process.kill(process.pid, 'SIGABRT'); for (;;); }",
    be_killed: "run: () => { process.kill(process.pid, 'SIGKILL'); for (;;); }",
    be_signalled: "run: () => { process.kill(process.pid, 'SIGSEGV'); for (;;); }",
    // As a bug in a native add-on would: the code that the process runs is gone.
    overwrite_code: `run: async () => {
      const { openSync, readFileSync, writeSync } = await import('node:fs');
      const code = /^([0-9a-f]+)-([0-9a-f]+) r-xp .*node$/m;
      const [from, to] = code.exec(readFileSync('/proc/self/maps', 'utf8')).slice(1).map((at) => parseInt(at, 16));
      writeSync(openSync('/proc/self/mem', 'r+'), Buffer.alloc(to - from), 0, to - from, from);
      return 'overwritten';
    }`,
  };
  const ends: [string, string][] = [
    ['abort_natively', 'SIGABRT'],
    ['be_killed', 'SIGKILL'],
    ['be_signalled', 'SIGSEGV'],
  ];
  // Only Linux lets a process write there.
  if (process.platform === 'linux') ends.push(['overwrite_code', 'SIGSEGV']);
  stage(IN_A_PROCESS, tools, (scene) => {
    it.each(ends)('fails, with the signal, and so do those that ran beside it: %s', async (tool, signal) => {
      const others = new RegExp(`^stand_by did not finish: the tools' process was ended by ${signal}$`);
      await scene.during(async (client) => {
        const task = client.startTask(tool);
        await expect(task.result()).rejects.toThrow(
          `${tool} did not finish: the tools' process was ended by ${signal}`,
        );
        expect((await task.status()).status).toBe('failed');
      }, others);
    });
  });
});
