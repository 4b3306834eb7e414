import { hostname } from 'node:os';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import {
  SqliteStore,
  StoreUnavailableError,
  type SharedEvents,
  type SqliteStoreOptions,
  type Task,
} from 'mcp-taskpool';
import { loadDriver } from '../../src/stores/sqlite-driver.ts';
import { startActor } from './actor.ts';
import { pathOfStore } from './folder.ts';
import { aTask, NOTHING } from './tasks.ts';

async function openStore(options: SqliteStoreOptions): Promise<SqliteStore> {
  const store = await SqliteStore.open(options);
  onTestFinished(() => store.close());
  return store;
}

/** Resolves when the store tells of it. */
const event = (store: SqliteStore, name: keyof SharedEvents) =>
  new Promise<void>((resolve) => {
    store.shared.watch({ changed: () => {}, gone: () => {}, lost: () => {}, [name]: resolve });
  });

describe('Several processes on one SQLite file', () => {
  it.each([2, 5])('keep all that %i of them write at once', async (count) => {
    const path = await pathOfStore();
    const actors = await Promise.all(Array.from({ length: count }, () => startActor(path)));
    await Promise.all(actors.map(({ act }, n) => act('live', 100, `actor ${n}`)));
    const store = await openStore({ path });
    const { tasks } = await store.list('ada', undefined, 1000);
    expect(new Set(tasks.map(({ taskId }) => taskId)).size).toBe(100 * count);
    expect(tasks.every(({ state }) => state === 'cancelled')).toBe(true);
    expect(await store.size()).toBe(100 * count);
  });

  it('make it together, where there is none', async () => {
    const path = await pathOfStore();
    const actors = await Promise.all([startActor(path), startActor(path)]);
    const others = Array.from({ length: 200 }, (_, n) => `${path}-${n}`);
    await Promise.all(actors.map(({ act }) => act('openOthers', others)));
    expect(await Promise.all(actors.map(({ act }) => act('claim')))).toEqual([[], []]);
  });

  it('take over what one of them had when it was killed, at once', async () => {
    const path = await pathOfStore();
    const [store, actor] = [await openStore({ path }), await startActor(path)];
    await actor.act('create', aTask({ taskId: 'a' }));
    expect(await store.shared.claim()).toEqual([]);
    const gone = event(store, 'gone');
    await actor.kill();
    await gone;
    expect(await store.shared.claim()).toEqual([aTask({ taskId: 'a' })]);
    expect(await store.replace('queued', { ...aTask({ taskId: 'a' }), state: 'running' })).toBe(true);
  });

  it('take over at once what one of them had before the machine was started anew', async () => {
    const path = await pathOfStore();
    const before = await openStore({ path });
    await before.create(aTask({ taskId: 'a' }));
    const { DatabaseSync } = await loadDriver();
    const file = new DatabaseSync(path);
    file.prepare('UPDATE instances SET host = ?').run(`${hostname()} another-boot pid:[1]`);
    file.close();
    const store = await openStore({ path });
    expect(await store.shared.claim()).toEqual([aTask({ taskId: 'a' })]);
  });

  it('take over what one of them had when it froze, and let it change nothing once it goes on', async () => {
    const path = await pathOfStore();
    const leaseMs = 1500;
    const [store, actor] = [await openStore({ path, leaseMs }), await startActor(path, leaseMs)];
    await actor.act('watch');
    const running = { ...aTask({ taskId: 'a' }), state: 'running' } as const;
    await actor.act('create', aTask({ taskId: 'a' }));
    await actor.act('replace', 'queued', running);
    const gone = event(store, 'gone');
    actor.freeze();
    await gone;
    expect(await store.shared.claim()).toEqual([running]);
    const lost = actor.told('lost');
    actor.thaw();
    await lost;
    const late = { ...running, state: 'completed', outcome: NOTHING };
    expect(await actor.act('replace', 'running', late)).toBe(false);
    expect(await store.get('a')).toEqual(running);
    // It is a server like any other again.
    await actor.act('create', aTask({ taskId: 'b' }));
    expect(await store.shared.claim()).toEqual([]);
  });

  describe('of which one was taken for dead, and does not know it yet,', () => {
    async function scene() {
      const path = await pathOfStore();
      const [store, other] = [await openStore({ path }), await openStore({ path })];
      await store.create(aTask({ taskId: 'before' }));
      const lost = vi.fn<() => void>();
      store.shared.watch({ changed: () => {}, gone: () => {}, lost });
      const { DatabaseSync } = await loadDriver();
      const file = new DatabaseSync(path);
      file.exec('DELETE FROM instances');
      file.close();
      return { store, other, lost };
    }
    const running = { ...aTask({ taskId: 'before' }), state: 'running' } as const;

    it('keep from the others what it creates then', async () => {
      const { store, other, lost } = await scene();
      const tasks = ['a', 'b'].map((taskId) => aTask({ taskId }));
      await Promise.all(tasks.map((task) => store.create(task)));
      expect(lost).toHaveBeenCalledOnce();
      expect(await other.shared.claim()).toEqual([aTask({ taskId: 'before' })]);
      expect(await other.shared.claim()).toEqual([]);
      expect(await store.replace('queued', { ...tasks[0]!, state: 'running' })).toBe(true);
    });

    it('do not let it start what anybody may take over', async () => {
      const { store, other } = await scene();
      expect(await store.replace('queued', running)).toBe(false);
      expect(await other.shared.claim()).toEqual([aTask({ taskId: 'before' })]);
    });

    it('do not let it have done what was wanted of it before', async () => {
      const { store, other } = await scene();
      const cancel = { taskId: 'before', wish: { type: 'cancel' } } as const;
      await other.shared.post(cancel);
      await store.shared.done(await store.shared.letters());
      await other.shared.claim();
      expect(await other.shared.letters()).toMatchObject([cancel]);
    });

    it('let it end what nobody has taken over so far', async () => {
      const { store, other } = await scene();
      const cancelled = {
        ...aTask({ taskId: 'before' }),
        state: 'cancelled',
        outcome: { type: 'cancelled' },
      };
      expect(await store.replace('queued', cancelled as Task)).toBe(true);
      expect(await other.shared.claim()).toEqual([]);
    });
  });

  it('do not take a server for dead that lives for longer than a lease', async () => {
    const path = await pathOfStore();
    const leaseMs = 2000;
    const [store, actor] = [await openStore({ path, leaseMs }), await startActor(path, leaseMs)];
    await actor.act('create', aTask({ taskId: 'a' }));
    const changed = vi.fn<() => void>();
    const gone = vi.fn<() => void>();
    // Each beat of the other is a change.
    const beats = new Promise<void>((resolve) =>
      store.shared.watch({
        changed: () => {
          changed();
          if (changed.mock.calls.length === 12) resolve();
        },
        gone,
        lost: () => {},
      }),
    );
    await beats;
    expect(gone).not.toHaveBeenCalled();
    expect(await store.shared.claim()).toEqual([]);
  });

  it('wait for one that has the file locked, without holding the event loop, and read meanwhile', async () => {
    const path = await pathOfStore();
    const [store, actor] = [await openStore({ path }), await startActor(path)];
    await store.create(aTask({ taskId: 'a' }));
    await actor.act('lock');
    let isCreated = false;
    const created = store.create(aTask({ taskId: 'b' })).then(() => (isCreated = true));
    let turns = 0;
    for (const until = performance.now() + 200; performance.now() < until; turns++) {
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(isCreated).toBe(false);
    expect(turns).toBeGreaterThan(100);
    expect(await store.get('a')).toEqual(aTask({ taskId: 'a' }));
    await actor.act('unlock');
    await created;
    expect(await store.get('b')).toEqual(aTask({ taskId: 'b' }));
  });

  it('refuse what has waited for a lock for five seconds, and go on afterwards', async () => {
    const path = await pathOfStore();
    const [store, actor] = [await openStore({ path }), await startActor(path)];
    await store.create(aTask({ taskId: 'a' }));
    await actor.act('lock');
    const refused = await store.create(aTask({ taskId: 'b' })).catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(StoreUnavailableError);
    expect(String(refused)).toMatch(/locked by another process.*tasks\.db/);
    await actor.act('unlock');
    expect(await store.get('b')).toBeUndefined();
    await store.create(aTask({ taskId: 'b' }));
    expect(await store.size()).toBe(2);
  });
});

describe('The clock of a SQLite file', () => {
  it('goes on as it did, for the next server too, when the clock of the machine is set', async () => {
    const path = await pathOfStore();
    const first = await openStore({ path });
    const real = Date.now.bind(Date);
    const set = vi.spyOn(Date, 'now').mockImplementation(() => real() + 3_600_000);
    onTestFinished(() => {
      set.mockRestore();
    });
    const expiresAt = first.clock.now() + 60_000;
    await first.create(aTask({ taskId: 'a', expiresAt }));
    await first.close();
    const next = await openStore({ path });
    expect(next.clock.now()).toBeLessThan(expiresAt);
    expect(next.clock.now()).toBeGreaterThan(expiresAt - 60_000);
    expect(await next.purge(next.clock.now())).toEqual([]);
  });
});
