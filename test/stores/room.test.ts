import { randomBytes } from 'node:crypto';
import { stat } from 'node:fs/promises';
import { describe, expect, it, onTestFinished } from 'vitest';
import { SqliteStore, type Log, type Task } from 'mcp-taskpool';
import { pathOfStore } from './folder.ts';
import { aTask } from './tasks.ts';

const MB = 1024 * 1024;

function textOf(task: Task | undefined): string {
  return task?.outcome?.type === 'result' ? String(task.outcome.result['text']) : '';
}

describe('A SQLite store with a limit', () => {
  it('comes back to it whatever the load and the sizes of results, and warns of it once', async () => {
    const path = await pathOfStore();
    const warnings: { fields: object; message: string }[] = [];
    const warn = (fields: object, message: string) => void warnings.push({ fields, message });
    const log: Log = { info: () => {}, warn, error: warn };
    const store = await SqliteStore.open({ path, maxStoreMb: 4, log });
    onTestFinished(() => store.close());
    const open = Array.from({ length: 20 }, (_, n) => aTask({ taskId: `open ${n}`, ttlMs: 1e9 }));
    await Promise.all(open.map((task) => store.create(task)));

    // Some 24 MB.
    for (let round = 0; round < 36; round++) {
      const size = [1000, 30_000, 200_000, 1_500_000][round % 4]!;
      const count = Math.min(50, Math.ceil(600_000 / size));
      const ends = Array.from({ length: count }, async (_, n) => {
        const running: Task = { ...aTask({ taskId: `${round}-${n}` }), state: 'running' };
        await store.create(running);
        const result = { text: randomBytes((size * 3) / 4).toString('base64') };
        const outcome = { type: 'result', result, isError: false } as const;
        await store.replace('running', { ...running, state: 'completed', endedAt: round, outcome });
      });
      await Promise.all(ends);
    }
    // Text as random as this is compressed to three quarters.
    const kept = async () => {
      const { tasks } = await store.list('ada', undefined, 10_000);
      const texts = await Promise.all(tasks.map(async ({ taskId }) => textOf(await store.get(taskId))));
      return texts.reduce((sum, { length }) => sum + (length > 256 * 1024 ? length * 0.75 : length), 0);
    };
    // It is looked at five times a second.
    await expect.poll(kept).toBeLessThan(4 * MB);
    expect(await kept()).toBeGreaterThan(MB);
    // It keeps some room for what comes next.
    await expect.poll(async () => (await stat(path)).size).toBeLessThan(9 * MB);
    for (const task of open) expect(await store.get(task.taskId)).toEqual(task);
    expect(warnings).toEqual([
      {
        fields: { removed: expect.any(Number), maxStoreMb: 4, path },
        message: expect.stringMatching(/^the store has reached maxStoreMb \(4\): /),
      },
    ]);
  });
});
