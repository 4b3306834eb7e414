import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { describe, expect, it, onTestFinished } from 'vitest';
import { SqliteStore, type Task } from 'mcp-taskpool';
import { Connection } from '../../src/stores/sqlite-connection.ts';
import { loadDriver } from '../../src/stores/sqlite-driver.ts';
import { pathOfStore } from './folder.ts';
import { aTask } from './tasks.ts';

const driver = await loadDriver();
const KILLED = fileURLToPath(new URL('../../dist/test/fixtures/store-killed-midway.js', import.meta.url));

async function openStore(path: string): Promise<SqliteStore> {
  const store = await SqliteStore.open({ path });
  onTestFinished(() => store.close());
  return store;
}

/** How many parts are kept beside rows. */
function partsIn(path: string): number {
  const connection = new Connection(driver, path, '', { readOnly: true });
  const count = Number(connection.value('SELECT count(*) FROM parts'));
  connection.close();
  return count;
}

const running = (taskId: string): Task => ({ ...aTask({ taskId }), state: 'running' });
const completed = (taskId: string, result: Record<string, unknown>): Task => ({
  ...running(taskId),
  state: 'completed',
  endedAt: 2,
  outcome: { type: 'result', result, isError: false },
});

/** Text that is not compressed to nothing, of some characters. */
function noise(length: number): string {
  let state = 1;
  const words: string[] = [];
  for (let size = 0; size < length; size += words.at(-1)!.length) {
    state = (state * 48_271) % 2_147_483_647;
    words.push(state.toString(36));
  }
  return words.join('').slice(0, length);
}

async function startRun(store: SqliteStore, taskId: string): Promise<void> {
  await store.create(aTask({ taskId }));
  await store.replace('queued', running(taskId));
}

describe('A large result', () => {
  it.each<[string, Record<string, unknown>]>([
    ['20 MB of text', { text: noise(20_000_000) }],
    ['text that is nearly all one character', { text: 'x'.repeat(5_000_000) }],
    ['halves of surrogate pairs', { text: '\ud83e\udd8a'.repeat(100_000).slice(1), end: '\ud800' }],
    ['separators of lines', { text: '\u2028\u2029\r\n\0'.repeat(100_000) }],
    ['emoji', { text: '👩‍👩‍👧‍👦🇺🇳'.repeat(40_000), '👍': ['🦊'] }],
    ['100,000 numbers', { numbers: Array.from({ length: 100_000 }, (_, n) => n / 7 - 5000) }],
    ['100,000 names', Object.fromEntries(Array.from({ length: 100_000 }, (_, n) => [`n${n}`, null]))],
    ['odd names', { ...JSON.parse('{"__proto__":{"a":1}}'), '': 'x'.repeat(300_000), constructor: 1 }],
    ['empty things', { none: [], nothing: {}, text: '', rows: Array.from({ length: 90_000 }, () => ({})) }],
  ])('with %s comes back as it was, here and at the next server', async (_, result) => {
    const path = await pathOfStore();
    const store = await openStore(path);
    await startRun(store, 'a');
    expect(await store.replace('running', completed('a', result))).toBe(true);
    const asJson = JSON.stringify(result);
    const resultAt = async (at: SqliteStore) => {
      const outcome = (await at.get('a'))?.outcome;
      return outcome?.type === 'result' ? JSON.stringify(outcome.result) : undefined;
    };
    // Of 20 MB, toBe would print both.
    expect((await resultAt(store)) === asJson).toBe(true);
    await store.close();
    expect((await resultAt(await openStore(path))) === asJson).toBe(true);
  });

  it('that a server was killed over leaves nothing behind, once another has the task', async () => {
    const path = await pathOfStore();
    const child = spawn(process.execPath, [KILLED, path], { stdio: ['ignore', 'inherit', 'inherit'] });
    expect(await once(child, 'exit')).toEqual([null, 'SIGKILL']);
    expect(partsIn(path)).toBeGreaterThan(0);
    const store = await openStore(path);
    expect(await store.shared.claim()).toEqual([running('a')]);
    expect(partsIn(path)).toBe(0);
    const result = { text: noise(1_000_000) };
    expect(await store.replace('running', completed('a', result))).toBe(true);
    expect((await store.get('a'))?.outcome).toEqual({ type: 'result', result, isError: false });
  });

  it('leaves nothing behind where the task has ended meanwhile', async () => {
    const path = await pathOfStore();
    const store = await openStore(path);
    await startRun(store, 'a');
    const cancelled: Task = { ...running('a'), state: 'cancelled', outcome: { type: 'cancelled' } };
    const [late] = await Promise.all([
      store.replace('running', completed('a', { text: noise(3_000_000) })),
      store.replace('running', cancelled),
    ]);
    expect(late).toBe(false);
    expect(await store.get('a')).toEqual(cancelled);
    expect(partsIn(path)).toBe(0);
  });

  it('is one of two, whole, where both are to be that of a task', async () => {
    const path = await pathOfStore();
    const store = await openStore(path);
    await startRun(store, 'a');
    const results = [1, 2, 3].map((n) => ({ text: `${n} ${noise(n * 400_000)}` }));
    const written = await Promise.all(
      results.map((result) => store.replace('running', completed('a', result))),
    );
    expect(written.filter(Boolean)).toHaveLength(1);
    const won = completed('a', results[written.indexOf(true)]!);
    expect(await store.get('a')).toEqual(won);
    // No more than if it had been the only one.
    const alone = await pathOfStore();
    const other = await openStore(alone);
    await startRun(other, 'a');
    await other.replace('running', won);
    expect(partsIn(path)).toBe(partsIn(alone));
  });
});
