import { setImmediate } from 'node:timers/promises';
import { describe, expect, it, onTestFinished } from 'vitest';
import { SqliteStore, StoreUnavailableError, type Task } from 'mcp-taskpool';
import { pathOfStore } from './folder.ts';
import { aTask, NOTHING } from './tasks.ts';

async function openStore(path: string): Promise<SqliteStore> {
  const store = await SqliteStore.open({ path });
  onTestFinished(() => store.close());
  return store;
}

const running = (taskId: string): Task => ({ ...aTask({ taskId }), state: 'running' });
const completed = (taskId: string, text: string): Task => ({
  ...running(taskId),
  state: 'completed',
  outcome: { type: 'result', result: { text }, isError: false },
});

describe('A SQLite store that is closed', () => {
  it.each<[string, (store: SqliteStore) => Promise<unknown>]>([
    ['create', (store) => store.create(aTask({ taskId: 'b' }))],
    ['replace', (store) => store.replace('queued', running('a'))],
    ['get', (store) => store.get('a')],
    ['findByKey', (store) => store.findByKey('ada', 'k')],
    ['list', (store) => store.list('ada', undefined, 10)],
    ['purge', (store) => store.purge(1e9)],
    ['nextExpiry', (store) => store.nextExpiry()],
    ['size', (store) => store.size()],
    ['claim', (store) => store.shared.claim()],
    ['post', (store) => store.shared.post({ taskId: 'a', wish: { type: 'cancel' } })],
  ])('refuses to %s, and says why', async (_, act) => {
    const path = await pathOfStore();
    const store = await openStore(path);
    await store.create(aTask({ taskId: 'a' }));
    await store.close();
    const refused: unknown = await act(store).catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(StoreUnavailableError);
    expect(String(refused)).toContain('the store is closed');
    const next = await openStore(path);
    expect(await next.shared.claim()).toEqual([aTask({ taskId: 'a' })]);
    expect(await next.size()).toBe(1);
  });

  it('closes as often as it is asked to, each time at the same end', async () => {
    const store = await openStore(await pathOfStore());
    const created = store.create(aTask({ taskId: 'a' }));
    const ends: string[] = [];
    await Promise.all([
      created.then(() => ends.push('created')),
      store.close().then(() => ends.push('closed')),
      store.close().then(() => ends.push('closed')),
    ]);
    await store.close();
    expect(ends).toEqual(['created', 'closed', 'closed']);
  });

  it('has kept what it acknowledged, and left it to the next, whenever it was closed', async () => {
    for (let turns = 0; turns < 6; turns++) {
      const path = await pathOfStore();
      const store = await openStore(path);
      await Promise.all(['done', 'large', 'small'].map((taskId) => store.create(aTask({ taskId }))));
      await Promise.all(['done', 'large'].map((taskId) => store.replace('queued', running(taskId))));
      const text = Array.from({ length: 60_000 }, (_, n) => n.toString(36)).join(' ');
      const acknowledged = new Map<string, Task>();
      const refused: Error[] = [];
      const note = async (task: Task, write: Promise<unknown>) => {
        const answer = await write.catch((error: unknown) => error);
        if (answer instanceof Error) refused.push(answer);
        else if (answer !== false) acknowledged.set(task.taskId, task);
      };
      const writes = [
        note(running('small'), store.replace('queued', running('small'))),
        note(completed('done', 'x'), store.replace('running', completed('done', 'x'))),
        note(completed('large', text), store.replace('running', completed('large', text))),
      ];
      for (let turn = 0; turn < turns; turn++) await setImmediate();
      const closed = store.close();
      for (let n = 0; n < 10; n++) {
        const task = aTask({ taskId: `late ${n}` });
        writes.push(note(task, store.create(task)));
        await (n % 2 === 0 ? setImmediate() : undefined);
      }
      await Promise.all([closed, ...writes]);
      expect(refused.filter((error) => !(error instanceof StoreUnavailableError))).toEqual([]);

      const next = await openStore(path);
      const open = await next.shared.claim();
      expect(await next.size()).toBe(open.length + (await ended(next)));
      for (const [taskId, task] of acknowledged) expect(await next.get(taskId)).toEqual(task);
      const created = [...acknowledged.keys(), 'done', 'large', 'small'];
      for (const { taskId } of open) expect(created).toContain(taskId);
    }
  });

  it('tells of nothing any more', async () => {
    const path = await pathOfStore();
    const [store, other] = [await openStore(path), await openStore(path)];
    const told: string[] = [];
    const events = {
      changed: () => told.push('changed'),
      gone: () => told.push('gone'),
      lost: () => told.push('lost'),
    };
    store.shared.watch(events);
    await store.close();
    store.shared.watch(events);
    const seen = new Promise<void>((resolve) => {
      other.shared.watch({ changed: () => {}, gone: resolve, lost: () => {} });
    });
    const last = await openStore(path);
    await last.create(aTask({ taskId: 'a' }));
    await last.replace('queued', { ...aTask({ taskId: 'a' }), state: 'running' });
    await last.create({ ...aTask({ taskId: 'b' }), state: 'completed', outcome: NOTHING });
    await last.close();
    // Another sees it, by the same looks.
    await seen;
    expect(told).toEqual([]);
  });
});

async function ended(store: SqliteStore): Promise<number> {
  const { tasks } = await store.list('ada', undefined, 100);
  return tasks.filter(({ outcome }) => outcome !== undefined).length;
}
