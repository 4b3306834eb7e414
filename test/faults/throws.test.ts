import type { TaskClient } from 'mcp-taskpool/client';
import { describe, expect, it } from 'vitest';
import { EVERYWHERE, stage } from './scene.ts';

const SECRET = 'hunter2-hunter2-hunter2';

const tools = {
  throw_error: "run: () => { throw new RangeError('out of luck'); }",
  throw_text: "run: () => { throw 'just words'; }",
  throw_undefined: 'run: () => { throw undefined; }',
  throw_null: 'run: () => { throw null; }',
  throw_object: 'run: () => { throw { reason: 42 }; }',
  throw_getter: "run: () => { throw { get message() { throw new Error('not to be read'); } }; }",
  throw_error_with_getter:
    "run: () => { throw Object.defineProperty(new Error(), 'message', { get() { throw new Error('no'); } }); }",
  throw_proxy: "run: () => { throw new Proxy({}, { get() { throw new Error('no'); } }); }",
  throw_all: `run: () => {
    const cause = new TypeError('the cause, in /etc/some/secret/cause.txt');
    throw Object.assign(new Error('lost /etc/some/secret/path.txt', { cause }), { name: 'LostError', code: 'E_LOST' });
  }`,
  throw_circle: "run: () => { const error = new Error('round'); error.cause = error; throw error; }",
  throw_secret:
    'run: () => { throw new Error(`password ${process.env.TASKPOOL_SECRET} in ${process.cwd()} of ${import.meta.url}`); }',
  throw_secret_parts:
    "run: () => { throw Object.assign(new Error('x'), { name: process.env.TASKPOOL_SECRET, code: process.env.TASKPOOL_SECRET }); }",
  throw_large: "run: () => { throw new Error('x'.repeat(20 * 2 ** 20)); }",
  throw_path: 'input: z.object({ path: z.string() }), run: ({ path }) => { throw new Error(`no ${path}`); }',
  reject: "run: () => Promise.reject(new Error('rejected'))",
};

/** What a client is told of a failure, all of it. */
async function failureOf(client: TaskClient, tool: string, args = {}) {
  const task = client.startTask(tool, args);
  const { isError, text, raw } = await task.result();
  const { status, statusMessage } = await task.status();
  const all = JSON.stringify([raw, statusMessage]);
  return { isError, text, status, all, error: raw._meta?.['mcp-taskpool/error'] };
}

describe('A tool that throws', () => {
  stage(
    EVERYWHERE,
    tools,
    (scene) => {
      it.each([
        ['throw_error', /^out of luck$/],
        ['throw_text', /^just words$/],
        ['throw_undefined', /undefined/],
        ['throw_null', /null/],
        ['throw_object', /42/],
        ['throw_getter', /threw/],
        ['throw_error_with_getter', /threw/],
        ['throw_proxy', /threw/],
        ['throw_circle', /^round$/],
        ['reject', /^rejected$/],
      ])('fails with a result that says what: %s', async (tool, message) => {
        const { isError, text, status } = await scene.during((client) => failureOf(client, tool));
        expect({ isError, status }).toEqual({ isError: true, status: 'failed' });
        expect(text).toMatch(message);
      });

      it("leaves its error's name, message, code and cause for programs", async () => {
        const { error } = await scene.during((client) => failureOf(client, 'throw_all'));
        expect(error).toEqual({
          name: 'LostError',
          message: 'lost path.txt',
          code: 'E_LOST',
          cause: { name: 'TypeError', message: 'the cause, in cause.txt' },
        });
      });

      it('tells the operator where, and the client not', async () => {
        const { all } = await scene.during((client) => failureOf(client, 'throw_error'));
        expect(all).not.toMatch(/\bat |:\d+:\d+|throw_error\.js/);
        await expect.poll(() => scene.said).toMatch(/RangeError: out of luck.*at .*throw_error\.js:\d+:\d+/);
      });

      it('tells the client nothing of the file system and the environment', async () => {
        const { text, all } = await scene.during((client) => failureOf(client, 'throw_secret'));
        expect(text).toMatch(/^password \[redacted\] in \S+ of throw_secret\.js$/);
        for (const secret of [SECRET, scene.folder, process.cwd()]) expect(all).not.toContain(secret);
      });

      it("tells it none by an error's name and code, either", async () => {
        const { all } = await scene.during((client) => failureOf(client, 'throw_secret_parts'));
        expect(all).not.toContain(SECRET);
      });

      it('sends no message that is larger than a result may be', async () => {
        const { status, all } = await scene.during((client) => failureOf(client, 'throw_large'));
        expect(status).toBe('failed');
        expect(all.length).toBeLessThan(10 * 2 ** 20);
      });

      it('may name a path that the caller has sent', async () => {
        const path = '/srv/of/the/caller.txt';
        const { text } = await scene.during((client) => failureOf(client, 'throw_path', { path }));
        expect(text).toBe(`no ${path}`);
      });
    },
    { environment: { TASKPOOL_SECRET: SECRET }, env: ['TASKPOOL_SECRET'] },
  );
});
