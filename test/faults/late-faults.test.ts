import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { EVERYWHERE, stage, type Scene } from './scene.ts';

const KINDS = {
  exception: (word: string) => `setTimeout(() => { throw new Error('${word}'); }, 20)`,
  rejection: (word: string) => `setTimeout(() => void Promise.reject(new Error('${word}')), 20)`,
};

const tools: Record<string, string> = {
  // Runs until it is told that the fault has happened, on the thread that it happened on.
  hold: `input: z.object({ gate: z.string() }), run: async ({ gate }, { progress }) => {
    progress(1);
    const { existsSync } = await import('node:fs');
    while (!existsSync(gate)) await new Promise((resolve) => setTimeout(resolve, 5));
    return 'held';
  }`,
};
for (const [kind, fault] of Object.entries(KINDS)) {
  tools[`${kind}_during`] = `run: () => { ${fault('while it ran')}; return new Promise(() => {}); }`;
  // It is thrown once the gate is there, so that the next task has begun by then.
  tools[`${kind}_after`] = `input: z.object({ gate: z.string() }), run: ({ gate }) => {
    const look = setInterval(() => {
      if (!existsSync(gate)) return;
      clearInterval(look);
      ${fault('left behind')};
    }, 5);
    return 'own result';
  }`;
}
const withFs = (source: string) =>
  source.replace(
    'run: ({ gate }) => {',
    "run: async ({ gate }) => { const { existsSync } = await import('node:fs');",
  );
for (const name of ['exception_after', 'rejection_after']) tools[name] = withFs(tools[name]!);

describe('What nobody catches', () => {
  stage(EVERYWHERE, tools, (scene: Scene) => {
    it.each(Object.keys(KINDS))('fails the task that it comes from, while that runs: an %s', async (kind) => {
      await scene.during(async (client) => {
        const task = client.startTask(`${kind}_during`);
        await expect(task.result()).rejects.toThrow(`${kind}_during did not finish: while it ran`);
        expect((await task.status()).status).toBe('failed');
      });
    });

    it.each(Object.keys(KINDS))(
      'does not touch the task that runs after the one which left it behind: an %s',
      async (kind) => {
        const [fault, end] = ['fault', 'end'].map((name) => join(scene.folder, `${name}-${kind}`)) as [
          string,
          string,
        ];
        await scene.during(async (client) => {
          const guilty = client.startTask(`${kind}_after`, { gate: fault });
          const own = await guilty;
          expect(own.text).toBe('own result');
          const { task: held } = await scene.begun('hold', { gate: end });
          await writeFile(fault, '');
          // The operator is told whose it was.
          await expect
            .poll(() => scene.said)
            .toMatch(new RegExp(`${kind}_after.*left behind|left behind.*${kind}_after`));
          await writeFile(end, '');
          const { text, meta } = await held;
          expect({ text, thread: meta?.thread }).toEqual({ text: 'held', thread: own.meta?.thread });
          expect((await guilty.status()).status).toBe('completed');
          const next = await client.startTask('next');
          expect(next.meta?.thread).not.toBe(own.meta?.thread);
        });
      },
    );
  });
});
