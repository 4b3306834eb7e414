import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { InvalidCursorError, type Call, type Outcome, type Task, type TaskStore } from 'mcp-taskpool';
import { transition } from '../../src/tasks/task.ts';
import { aTask, NOTHING } from './tasks.ts';

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

    it("refuses a second task of an owner's key, until the first has expired", async () => {
      const keyed = (taskId: string, owner: string, ttlMs: number) =>
        aTask({ taskId, owner, ttlMs, createdAt: store.clock.now(), idempotencyKey: 'k' });
      await store.create({ ...keyed('a', 'ada', 60_000), createdAt: 1, expiresAt: 2 });
      await store.create(keyed('b', 'ada', 60_000));
      await store.create(keyed('c', 'bob', 60_000));
      await expect(store.create(keyed('d', 'ada', 60_000))).rejects.toMatchObject({ name: 'KeyTakenError' });
      expect(await store.get('d')).toBeUndefined();
      expect((await store.findByKey('ada', 'k'))?.taskId).toBe('b');
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
        outcome: NOTHING,
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
      const taken: string[] = [];
      for (let now = 100; now <= 1000; now += 100) {
        const before = taken.length;
        for (let some = await store.purge(now); some.length > 0; some = await store.purge(now)) {
          taken.push(...some.map(({ taskId }) => taskId));
        }
        expect(taken.length - before).toBe(100);
      }
      const expiry = (taskId: string) => 1 + ((Number(taskId.slice(1)) * 7919) % 1000);
      expect(taken).toEqual(taken.toSorted((a, b) => expiry(a) - expiry(b)));
      expect(await store.size()).toBe(0);
    });

    it('keeps every field of a task through all of its states', async () => {
      const call: Call = {
        tool: 'export',
        args: { deep: [{ ключ: 'значение', '': null }], '\u0000': '🦊\ud83d', n: -1.5e-300 },
        lane: 'io',
        timeoutMs: 1500,
        idempotent: true,
        retry: { attempts: 3, backoff: 'exponential' },
        prepare: { answers: [{ type: 'answer', result: { action: 'accept' } }] },
        prepared: { value: [1, { a: 2 }] },
      };
      const question = { kind: 'input' as const, params: { message: 'Sure?' }, key: 'q' };
      const queued = aTask({ taskId: 'a', call, idempotencyKey: 'k' });
      const running = transition(queued, 'running', { startedAt: 2, thread: 7, attempt: 1, updatedAt: 2 });
      const asking = transition(running, 'input_required', {
        asked: [{ key: 'q', question }],
        checkpoint: { value: { at: 12 } },
      });
      const answered = transition(asking, 'queued', {
        asked: [{ key: 'q', question, answer: { type: 'error', message: 'declined' } }],
        interruptions: 1,
        statusMessage: 'attempt 2 of 3',
      });
      const again = transition(answered, 'running', { attempt: 2 });
      const ended = transition(again, 'failed', {
        outcome: { type: 'error', code: -32603, message: 'no' },
        statusMessage: 'no',
        endedAt: 9,
      });
      await store.create(queued);
      expect(await store.get('a')).toEqual(queued);
      for (const [from, to] of [
        [queued, running],
        [running, asking],
        [asking, answered],
        [answered, again],
        [again, ended],
      ] as const) {
        expect(await store.replace(from.state, to)).toBe(true);
        expect(await store.get('a')).toEqual(to);
        expect(await store.findByKey('ada', 'k')).toEqual(to);
      }
    });

    it('replaces a task by another record of the same state', async () => {
      await store.create(aTask({ taskId: 'a' }));
      const running = transition(aTask({ taskId: 'a' }), 'running', {});
      await store.replace('queued', running);
      const further = { ...running, checkpoint: { value: 5 } };
      expect(await store.replace('running', further)).toBe(true);
      expect(await store.get('a')).toEqual(further);
    });

    it('changes nothing of a task that has ended', async () => {
      const running = transition(aTask({ taskId: 'a' }), 'running', {});
      const done = transition(running, 'completed', { outcome: NOTHING });
      await store.create(aTask({ taskId: 'a' }));
      await store.replace('queued', running);
      await store.replace('running', done);
      for (const from of ['queued', 'running', 'input_required', 'failed', 'cancelled'] as const) {
        expect(await store.replace(from, { ...done, statusMessage: 'changed' })).toBe(false);
      }
      expect(await store.get('a')).toEqual(done);
    });

    it.each<[string, Outcome]>([
      ['a result', { type: 'result', result: { content: [{ type: 'text', text: 'x' }] }, isError: false }],
      ['a result that reports an error', { type: 'result', result: { content: [] }, isError: true }],
      ['an error', { type: 'error', code: -32001, message: 'ran out of time' }],
      ['a cancellation', { type: 'cancelled' }],
    ])('keeps %s, and tells its kind in a list', async (_, outcome) => {
      const task = { ...aTask({ taskId: 'a' }), state: 'failed', outcome, endedAt: 3 } as const;
      await store.create(aTask({ taskId: 'a' }));
      await store.replace('queued', task);
      expect((await store.get('a'))?.outcome).toEqual(outcome);
      const [listed] = (await store.list('ada', undefined, 10)).tasks;
      expect({ ...listed, outcome: undefined }).toEqual({ ...task, outcome: undefined });
      expect({ ...listed?.outcome, result: 0 }).toEqual({ ...outcome, result: 0 });
    });

    it('gives back large arguments and results bit for bit', async () => {
      const text = 'ab\u2028🦊\ud83d"\\\n'.repeat(60_000);
      const large = {
        text,
        rows: Array.from({ length: 20_000 }, (_, n) => ({ n, name: `row ${n}`, part: n / 7 })),
      };
      const call: Call = { tool: 'noop', args: large, lane: 'cpu' };
      const queued = aTask({ taskId: 'a', call });
      const running = transition(queued, 'running', {});
      const done = transition(running, 'completed', {
        outcome: { type: 'result', result: { content: [], structuredContent: large }, isError: false },
      });
      const json = (task?: Task) => JSON.stringify([task?.state, task?.call, task?.outcome]);
      await store.create(queued);
      expect(json(await store.get('a')) === json(queued)).toBe(true);
      await store.replace('queued', running);
      await store.replace('running', done);
      expect(json(await store.get('a')) === json(done)).toBe(true);
      expect((await store.list('ada', undefined, 10)).tasks).toHaveLength(1);
      expect(await store.purge(1e9)).toEqual([{ taskId: 'a', owner: 'ada' }]);
      expect(await store.size()).toBe(0);
    });

    it('takes no owner and no key for another that looks like it', async () => {
      const names = [
        'ada',
        'ada\u0000',
        'ada\u0000x',
        'Ada',
        'ada ',
        'ad\ud83d',
        'ad\ud83e',
        'ad\ufffd',
        '"',
        '\\',
        '%',
        '',
      ];
      for (const [n, name] of names.entries()) {
        await store.create(aTask({ taskId: `o${n}`, owner: name }));
        await store.create(aTask({ taskId: `k${n}`, owner: 'keys', idempotencyKey: name }));
      }
      for (const [n, name] of names.entries()) {
        const { tasks } = await store.list(name, undefined, 100);
        expect(tasks.map(({ taskId, owner }) => [taskId, owner])).toEqual([[`o${n}`, name]]);
        expect((await store.findByKey('keys', name))?.taskId).toBe(`k${n}`);
      }
    });

    it('finds the newest task of an idempotency key', async () => {
      await store.create(aTask({ taskId: 'a', idempotencyKey: 'k', createdAt: 1000, ttlMs: 10 }));
      await store.create(aTask({ taskId: 'b', idempotencyKey: 'k' }));
      expect((await store.findByKey('ada', 'k'))?.taskId).toBe('b');
      await store.purge(1010);
      expect((await store.findByKey('ada', 'k'))?.taskId).toBe('b');
    });

    it('keeps all of many tasks that are created at once', async () => {
      const ids = Array.from({ length: 500 }, (_, n) => `t${n}`);
      await Promise.all(ids.map((taskId) => store.create(aTask({ taskId }))));
      const { tasks } = await store.list('ada', undefined, 1000);
      expect(tasks.map(({ taskId }) => taskId)).toEqual(ids);
      expect(await store.size()).toBe(500);
    });

    it('refuses one of many that are created at once, and keeps the others', async () => {
      const created = await Promise.allSettled(
        ['a', 'b', 'a', 'c'].map((taskId) => store.create(aTask({ taskId }))),
      );
      expect(created.map(({ status }) => status)).toEqual([
        'fulfilled',
        'fulfilled',
        'rejected',
        'fulfilled',
      ]);
      expect(await store.size()).toBe(3);
    });

    it('lets one of many who replace a task at once', async () => {
      const task = aTask({ taskId: 'a' });
      await store.create(task);
      const running = Array.from({ length: 20 }, (_, thread) => transition(task, 'running', { thread }));
      const done = await Promise.all(running.map((to) => store.replace('queued', to)));
      expect(done.filter(Boolean)).toHaveLength(1);
      expect((await store.get('a'))?.thread).toBe(done.indexOf(true));
    });

    it('has a clock that goes by its milliseconds', async () => {
      const first = store.clock.now();
      expect(Math.abs(first - Date.now())).toBeLessThan(1000);
      await new Promise((resolve) => setTimeout(resolve, 5));
      expect(store.clock.now()).toBeGreaterThan(first);
    });

    it('closes twice', async () => {
      await store.create(aTask({ taskId: 'a' }));
      await Promise.all([store.close(), store.close()]);
      await expect(store.close()).resolves.toBeUndefined();
    });
  });
}
