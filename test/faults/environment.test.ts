import { describe, expect, it } from 'vitest';
import { EVERYWHERE, stage } from './scene.ts';

const SECRET = 'hunter2-hunter2-hunter2';

const tools = {
  look: 'run: () => process.env',
  named_by_it: "env: ['NAMED_BY_TOOL'], run: () => process.env",
  ask_a_child: `run: async () => {
    const { execFileSync } = await import('node:child_process');
    return execFileSync('env', { encoding: 'utf8' });
  }`,
  read_own_process: `run: async () => {
    const { readFileSync } = await import('node:fs');
    return readFileSync('/proc/self/environ', 'utf8');
  }`,
  set: "run: () => { process.env.PATH = ''; process.env.LEFT_BEHIND = 'yes'; return 'set'; }",
  change_folder: "run: () => process.chdir('/')",
  where: 'run: () => process.cwd()',
  hook_exit: `run: () => {
    process.on('exit', () => { process.exitCode = 9; throw new Error('thrown on exit'); });
    process.on('beforeExit', () => { for (;;); });
    return 'hooked';
  }`,
  hook_exit_and_exit: "run: () => { process.on('exit', () => { for (;;); }); process.exit(5); }",
};

describe('A tool and its surroundings', () => {
  stage(
    EVERYWHERE,
    tools,
    (scene) => {
      it('sees the variables that are no secret or that are named, and no others', async () => {
        const seen = await scene.during(async (client) => [
          (await client.startTask('look')).structuredContent,
          (await client.startTask('named_by_it')).structuredContent,
        ]);
        for (const environment of seen) {
          const names = ['PATH', 'HOME', 'LANG', 'TZ', 'NODE_ENV', 'NAMED_BY_TOOL', 'NAMED_BY_SERVER'];
          expect(names).toEqual(expect.arrayContaining(Object.keys(environment!)));
          expect(environment).toMatchObject({ PATH: process.env['PATH'], NAMED_BY_SERVER: 'server' });
        }
        expect(seen[1]).toMatchObject({ NAMED_BY_TOOL: 'tool' });
        expect(JSON.stringify(seen)).not.toContain(SECRET);
      });

      it('does not give a process that it starts what it does not see itself', async () => {
        const { text } = await scene.during((client) => client.startTask('ask_a_child').result());
        expect(text).toContain('NAMED_BY_SERVER=server');
        expect(text).not.toContain(SECRET);
      });

      // A thread shares the server's process, and can read what that was started with.
      it.runIf(scene.setting.isolation === 'process' && process.platform === 'linux')(
        'does not find more in its process',
        async () => {
          const { text } = await scene.during((client) => client.startTask('read_own_process').result());
          expect(text).toContain('NAMED_BY_SERVER=server');
          expect(text).not.toContain(SECRET);
        },
      );

      it('changes the environment of nobody else but those that come after it on its thread', async () => {
        const before = { ...process.env };
        await scene.during((client) => client.startTask('set').result());
        expect({ ...process.env }).toEqual(before);
      });

      it('cannot change the working directory', async () => {
        const { before, changed, after } = await scene.during(async (client) => ({
          before: (await client.startTask('where')).text,
          changed: await client.startTask('change_folder'),
          after: (await client.startTask('where')).text,
        }));
        expect({ isError: changed.isError, text: changed.text }).toEqual({
          isError: true,
          text: expect.stringContaining('chdir() is not supported in workers'),
        });
        expect(after).toBe(before);
      });

      it('does nothing to others by what it hooks to the end of its process', async () => {
        const { text } = await scene.during((client) => client.startTask('hook_exit').result());
        expect(text).toBe('hooked');
      });

      it('does not hold its thread by a hook that never ends', async () => {
        await scene.during(async (client) => {
          const task = client.startTask('hook_exit_and_exit');
          const cancelling = task.wait({ timeoutMs: 1000 }).catch(() => task.cancel());
          expect(['failed', 'cancelled']).toContain((await cancelling).status);
        });
      });
    },
    {
      environment: { TASKPOOL_SECRET: SECRET, NAMED_BY_TOOL: 'tool', NAMED_BY_SERVER: 'server' },
      env: ['NAMED_BY_SERVER'],
    },
  );
});
