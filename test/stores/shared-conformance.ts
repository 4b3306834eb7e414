import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Letter, SharedStore, Task, TaskStore } from 'mcp-taskpool';
import { transition } from '../../src/tasks/task.ts';
import { aTask, NOTHING } from './tasks.ts';

type Shared = TaskStore & { readonly shared: SharedStore };

/**
 * What every store must do that several servers use.
 * @param open gives another server's store on the same tasks; each of them is closed
 */
export function sharedStoreConformance(
  name: string,
  prepare: () => Promise<{ open: () => Promise<Shared> }>,
): void {
  describe(`${name}, as every store that several servers use,`, () => {
    let stores: Shared[] = [];
    let one: Shared;
    let other: Shared;
    beforeEach(async () => {
      const { open } = await prepare();
      stores = [(one = await open()), (other = await open()), await open()];
    });
    afterEach(() => Promise.all(stores.map((store) => store.close())));

    it('shows each server the tasks of all', async () => {
      const task = aTask({ taskId: 'a', idempotencyKey: 'k' });
      await one.create(task);
      expect(await other.get('a')).toEqual(task);
      expect(await other.findByKey('ada', 'k')).toEqual(task);
      expect((await other.list('ada', undefined, 10)).tasks).toEqual([task]);
      expect(await other.size()).toBe(1);
      await expect(other.create(task)).rejects.toThrow('a');
    });

    it('lets nobody change a task but the server whose it is', async () => {
      const task = aTask({ taskId: 'a' });
      const running = transition(task, 'running', {});
      await one.create(task);
      expect(await other.replace('queued', running)).toBe(false);
      expect(await one.replace('queued', running)).toBe(true);
      expect(await other.replace('running', { ...running, checkpoint: { value: 1 } })).toBe(false);
      expect(await one.get('a')).toEqual(running);
    });

    it('gives nothing to take over while the servers live', async () => {
      await one.create(aTask({ taskId: 'a' }));
      await other.create(aTask({ taskId: 'b' }));
      expect(await other.shared.claim()).toEqual([]);
      expect(await one.shared.claim()).toEqual([]);
    });

    it('gives what a server has left, as it was left, and no more than that', async () => {
      const large = 'x'.repeat(300_000);
      const queued = aTask({ taskId: 'a', call: { tool: 'noop', args: { large }, lane: 'cpu' } });
      const running = transition(aTask({ taskId: 'b' }), 'running', { thread: 2 });
      const done = transition(transition(aTask({ taskId: 'c' }), 'running', {}), 'completed', {
        outcome: NOTHING,
      });
      await one.create(queued);
      await one.create(aTask({ taskId: 'b' }));
      await one.replace('queued', running);
      await one.create(aTask({ taskId: 'c' }));
      await one.replace('queued', done);
      await one.close();
      expect(await claimAll(other)).toEqual([queued, running]);
      expect(await claimAll(other)).toEqual([]);
      expect(await other.get('c')).toEqual(done);
    });

    it('lets the server that has taken over a task change it', async () => {
      await one.create(aTask({ taskId: 'a' }));
      await one.close();
      const [task] = await claimAll(other);
      const done = transition(transition(task!, 'running', {}), 'completed', { outcome: NOTHING });
      expect(await other.replace('queued', { ...done, state: 'completed' })).toBe(true);
      expect(await other.get('a')).toEqual(done);
    });

    it('gives each of many tasks to one of several servers', async () => {
      const ids = Array.from({ length: 1000 }, (_, n) => `t${n}`);
      await Promise.all(ids.map((taskId) => one.create(aTask({ taskId }))));
      await one.close();
      const claimed = await Promise.all(stores.slice(1).map(claimAll));
      const got = claimed.flat().map(({ taskId }) => taskId);
      expect(got.toSorted()).toEqual(ids.toSorted());
    });

    const cancel: Letter = { taskId: 'a', wish: { type: 'cancel' } };
    const answer: Letter = {
      taskId: 'a',
      wish: { type: 'answer', key: 'k', answer: { type: 'answer', result: { action: 'accept' } } },
    };

    it('gives letters to the server whose task they are about, until they are done', async () => {
      await one.create(aTask({ taskId: 'a' }));
      await other.shared.post(answer);
      await other.shared.post(cancel);
      expect(await other.shared.letters()).toEqual([]);
      const [first, second] = await one.shared.letters();
      expect([first, second]).toMatchObject([answer, cancel]);
      await one.shared.done([first!]);
      expect(await one.shared.letters()).toEqual([second]);
      await one.shared.done([second!]);
      expect(await one.shared.letters()).toEqual([]);
    });

    it('gives the oldest of many letters first, and in the end all', async () => {
      await one.create(aTask({ taskId: 'a' }));
      const keys = Array.from({ length: 250 }, (_, n) => `k${n}`);
      const letters = keys.map((key) => ({ ...answer, wish: { ...answer.wish, key } }) as Letter);
      for (const letter of letters) await other.shared.post(letter);
      const got: Letter[] = [];
      for (let some = await one.shared.letters(); some.length > 0; some = await one.shared.letters()) {
        got.push(...some.map(({ taskId, wish }) => ({ taskId, wish })));
        await one.shared.done(some);
      }
      expect(got).toEqual(letters);
    });

    it('keeps a letter for the server that takes over its task, though it was read before', async () => {
      await one.create(aTask({ taskId: 'a' }));
      await other.shared.post(cancel);
      expect(await one.shared.letters()).toMatchObject([cancel]);
      await one.close();
      expect(await other.shared.letters()).toEqual([]);
      await claimAll(other);
      const letters = await other.shared.letters();
      expect(letters).toMatchObject([cancel]);
      await stores[2]!.shared.done(letters);
      expect(await other.shared.letters()).toEqual(letters);
    });

    it('drops letters about tasks that are unknown, have ended or are gone', async () => {
      await one.create(aTask({ taskId: 'a', createdAt: 1000, ttlMs: 10 }));
      await one.create(aTask({ taskId: 'b' }));
      await one.replace('queued', {
        ...aTask({ taskId: 'b' }),
        state: 'cancelled',
        outcome: { type: 'cancelled' },
      });
      for (const taskId of ['a', 'b', 'c']) await other.shared.post({ taskId, wish: { type: 'cancel' } });
      expect(await one.purge(1010)).toEqual([{ taskId: 'a', owner: 'ada' }]);
      expect(await one.shared.letters()).toEqual([]);
    });

    it('tells the others of what one writes', async () => {
      const told: string[] = [];
      let onChange: () => void = () => {};
      watch(other, { changed: () => onChange() });
      for (const taskId of ['a', 'b']) {
        const changed = new Promise<void>((resolve) => (onChange = resolve));
        await one.create(aTask({ taskId }));
        await changed;
        told.push(taskId);
      }
      expect(told).toEqual(['a', 'b']);
    });

    it('tells the others when a server has gone and left tasks', async () => {
      await one.create(aTask({ taskId: 'a' }));
      const gone = new Promise<void>((resolve) => watch(other, { gone: resolve }));
      await one.close();
      await gone;
      expect(await claimAll(other)).toHaveLength(1);
    });

    it("removes expired tasks of one's own, and those that have ended, and nobody else's", async () => {
      for (const [store, taskId] of [
        [one, 'a'],
        [other, 'b'],
        [one, 'c'],
      ] as const) {
        await store.create(aTask({ taskId, createdAt: 1000, ttlMs: 10 }));
      }
      await one.replace('queued', {
        ...aTask({ taskId: 'c', createdAt: 1000, ttlMs: 10 }),
        state: 'cancelled',
        outcome: { type: 'cancelled' },
      });
      expect(await other.nextExpiry()).toBe(1010);
      const purged = await other.purge(1010);
      expect(purged.map(({ taskId }) => taskId).toSorted()).toEqual(['b', 'c']);
      expect(await other.nextExpiry()).toBeUndefined();
      expect(await one.nextExpiry()).toBe(1010);
      expect(await one.purge(1010)).toEqual([{ taskId: 'a', owner: 'ada' }]);
      expect(await one.size()).toBe(0);
    });

    it('keeps what all of them write at once', async () => {
      const life = async (store: Shared, taskId: string) => {
        const task = aTask({ taskId });
        await store.create(task);
        const running = transition(task, 'running', {});
        expect(await store.replace('queued', running)).toBe(true);
        expect(await store.replace('running', transition(running, 'completed', { outcome: NOTHING }))).toBe(
          true,
        );
      };
      await Promise.all(
        stores.flatMap((store, s) => Array.from({ length: 200 }, (_, n) => life(store, `${s}-${n}`))),
      );
      const { tasks } = await one.list('ada', undefined, 1000);
      expect(new Set(tasks.map(({ taskId }) => taskId)).size).toBe(600);
      expect(tasks.every(({ state }) => state === 'completed')).toBe(true);
    });
  });
}

async function claimAll(store: Shared): Promise<Task[]> {
  const claimed: Task[] = [];
  for (let some = await store.shared.claim(); some.length > 0; some = await store.shared.claim())
    claimed.push(...some);
  return claimed;
}

function watch(store: Shared, events: { changed?: () => void; gone?: () => void }): void {
  store.shared.watch({ changed: () => {}, gone: () => {}, lost: () => {}, ...events });
}
