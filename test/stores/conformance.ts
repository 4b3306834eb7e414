import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { InvalidCursorError } from '../../src/errors.ts';
import type { TaskStore } from '../../src/tasks/store.ts';
import { transition, type Task } from '../../src/tasks/task.ts';

/** What every store must do, whatever it keeps tasks in. */
export function storeConformance(name: string, open: () => Promise<TaskStore>): void {
  describe(`${name}, as every store,`, () => {
    let store: TaskStore;
    beforeEach(async () => {
      store = await open();
    });
    afterEach(() => store.close());

    it('gives back a task as it was created', async () => {
      const task = aTask({ taskId: 'a' });
      await store.create(task);
      expect(await store.get('a')).toEqual(task);
      expect(await store.get('b')).toBeUndefined();
      expect(await store.size()).toBe(1);
    });

    it('refuses a second task of the same id, and keeps the first', async () => {
      await store.create(aTask({ taskId: 'a', owner: 'ada' }));
      await expect(store.create(aTask({ taskId: 'a', owner: 'bob' }))).rejects.toThrow('a');
      expect((await store.get('a'))?.owner).toBe('ada');
    });

    it('finds a task by its owner and its idempotency key, until it is gone', async () => {
      const task = aTask({ taskId: 'a', owner: 'ada', idempotencyKey: 'k', createdAt: 1000, ttlMs: 10 });
      await store.create(task);
      expect(await store.findByKey('ada', 'k')).toEqual(task);
      expect(await store.findByKey('bob', 'k')).toBeUndefined();
      expect(await store.findByKey('ada', 'other')).toBeUndefined();
      await store.purge(1010);
      expect(await store.findByKey('ada', 'k')).toBeUndefined();
    });

    it('replaces a task only from the state that the writer knows', async () => {
      const queued = aTask({ taskId: 'a' });
      await store.create(queued);
      const running = transition(queued, 'running', { startedAt: 2, thread: 7 });
      expect(await store.replace('running', running)).toBe(false);
      expect(await store.get('a')).toEqual(queued);
      expect(await store.replace('queued', running)).toBe(true);
      expect(await store.get('a')).toEqual(running);
    });

    it('keeps the first of two endings', async () => {
      const running = transition(aTask({ taskId: 'a' }), 'running', {});
      await store.create(aTask({ taskId: 'a' }));
      await store.replace('queued', running);
      const done = transition(running, 'completed', {
        outcome: { type: 'result', result: { content: [] }, isError: false },
      });
      const stopped = transition(running, 'cancelled', { outcome: { type: 'cancelled' } });
      expect(await store.replace('running', done)).toBe(true);
      expect(await store.replace('running', stopped)).toBe(false);
      expect(await store.get('a')).toEqual(done);
    });

    it('does not bring back a task that is gone', async () => {
      const task = aTask({ taskId: 'a', createdAt: 1000, ttlMs: 10 });
      await store.create(task);
      await store.purge(1010);
      expect(await store.replace('queued', transition(task, 'running', {}))).toBe(false);
      expect(await store.get('a')).toBeUndefined();
    });

    it("lists an owner's tasks from the oldest to the newest, and nobody else's", async () => {
      for (const [taskId, owner] of [
        ['a', 'ada'],
        ['b', 'bob'],
        ['c', 'ada'],
      ] as const) {
        await store.create(aTask({ taskId, owner }));
      }
      const page = await store.list('ada', undefined, 10);
      expect(page.tasks.map((task) => task.taskId)).toEqual(['a', 'c']);
      expect(page.nextCursor).toBeUndefined();
      expect(await store.list('nobody', undefined, 10)).toEqual({ tasks: [] });
    });

    it('walks every task once through pages, while others come and go', async () => {
      for (let n = 0; n < 25; n++)
        await store.create(aTask({ taskId: `t${n}`, createdAt: n, ttlMs: n < 5 ? 1 : 1000 }));
      const seen: string[] = [];
      let cursor: string | undefined;
      do {
        const page = await store.list('ada', cursor, 10);
        seen.push(...page.tasks.map((task) => task.taskId));
        if (cursor === undefined) {
          await store.purge(100);
          await store.create(aTask({ taskId: 't25' }));
        }
        cursor = page.nextCursor;
      } while (cursor !== undefined);
      expect(seen).toEqual(Array.from({ length: 26 }, (_, n) => `t${n}`));
    });

    it('refuses a cursor that it did not give out', async () => {
      await store.create(aTask({ taskId: 'a' }));
      for (const cursor of ['', 'nonsense', '🦊', Buffer.from('s99').toString('base64url')]) {
        await expect(store.list('ada', cursor, 10)).rejects.toBeInstanceOf(InvalidCursorError);
      }
    });

    it('purges what has expired and nothing else, and says when the next does', async () => {
      expect(await store.nextExpiry()).toBeUndefined();
      for (const [taskId, ttlMs] of [
        ['c', 300],
        ['a', 100],
        ['b', 200],
      ] as const) {
        await store.create(aTask({ taskId, createdAt: 1000, ttlMs }));
      }
      expect(await store.nextExpiry()).toBe(1100);
      expect(await store.purge(1099)).toEqual([]);
      expect(await store.purge(1200)).toEqual([
        { taskId: 'a', owner: 'ada' },
        { taskId: 'b', owner: 'ada' },
      ]);
      expect(await store.get('a')).toBeUndefined();
      expect((await store.list('ada', undefined, 10)).tasks.map((task) => task.taskId)).toEqual(['c']);
      expect(await store.nextExpiry()).toBe(1300);
      expect(await store.size()).toBe(1);
    });

    it('purges 1,000 tasks of scattered expiries in the order of time', async () => {
      for (let n = 0; n < 1000; n++)
        await store.create(aTask({ taskId: `t${n}`, createdAt: 0, ttlMs: 1 + ((n * 7919) % 1000) }));
      for (let now = 100; now <= 1000; now += 100) expect(await store.purge(now)).toHaveLength(100);
      expect(await store.size()).toBe(0);
    });
  });
}

function aTask(fields: Partial<Task> & { taskId: string }): Task {
  const { createdAt = 1, ttlMs = 60_000 } = fields;
  return {
    owner: 'ada',
    call: { tool: 'noop', args: { n: 1 }, lane: 'cpu' },
    state: 'queued',
    createdAt,
    updatedAt: 1,
    ttlMs,
    expiresAt: createdAt + ttlMs,
    pollIntervalMs: 1000,
    ...fields,
  };
}
