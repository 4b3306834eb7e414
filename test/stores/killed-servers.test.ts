import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { describe, expect, it, onTestFinished } from 'vitest';
import { SqliteStore } from 'mcp-taskpool';
import { pathOfStore } from './folder.ts';

const LOAD = fileURLToPath(new URL('../../dist/test/fixtures/store-load.js', import.meta.url));

/** A server under load, and the last word that it has said of each task. */
function startLoad(path: string, name: string) {
  const child = spawn(process.execPath, [LOAD, path, name], { stdio: ['ignore', 'pipe', 'inherit'] });
  const words = new Map<string, string>();
  const claimed: string[] = [];
  const lines = createInterface({ input: child.stdout });
  lines.on('line', (line) => {
    const [word, taskId] = line.split(' ') as [string, string];
    if (word === 'claimed') claimed.push(taskId);
    else words.set(taskId, word);
  });
  const ended = Promise.all([once(child, 'exit'), once(lines, 'close')]);
  const kill = async () => {
    child.kill('SIGKILL');
    const [exit] = await ended;
    expect(exit).toEqual([null, 'SIGKILL']);
  };
  onTestFinished(() => void child.kill('SIGKILL'));
  return { name, words, claimed, kill };
}

const STATES = ['created', 'running', 'ended'];

describe('Servers on one file that are killed under load', () => {
  it.each([
    [2, 1],
    [5, 3],
  ])(
    'lose nothing that %i have acknowledged, and leave it to one of the others when %i go',
    async (all, killed) => {
      const path = await pathOfStore();
      await (await SqliteStore.open({ path })).close();
      const servers = Array.from({ length: all }, (_, n) => startLoad(path, `s${n}`));
      const [dying, living] = [servers.slice(0, killed), servers.slice(killed)];
      for (const [n, { words, kill }] of dying.entries()) {
        await expect.poll(() => words.size, { timeout: 20_000 }).toBeGreaterThan(60 + 37 * n);
        await kill();
      }
      const store = await SqliteStore.open({ path });
      onTestFinished(() => store.close());
      const waiting = new Set(dying.flatMap(({ words }) => [...words.keys()]));
      const notTaken = async () => {
        for (const taskId of living.flatMap(({ claimed }) => claimed)) waiting.delete(taskId);
        // The word of an end may be missing: it was killed before it.
        for (const taskId of waiting) if ((await store.get(taskId))?.outcome) waiting.delete(taskId);
        return [...waiting];
      };
      await expect.poll(notTaken, { timeout: 20_000 }).toEqual([]);
      await Promise.all(living.map(({ kill }) => kill()));

      // Each by one, once; and of none that lives.
      const takings = living.flatMap((server) => server.claimed);
      expect(new Set(takings).size).toBe(takings.length);
      const names = dying.map(({ name }) => name);
      expect(takings.filter((taskId) => !names.includes(taskId.split('-')[0]!))).toEqual([]);

      const states = ['queued', 'running', 'completed'];
      let known = 0;
      for (const { words } of servers) {
        for (const [taskId, word] of words) {
          const task = await store.get(taskId);
          // It may have been killed between an acknowledgement and the word.
          expect(states.indexOf(task?.state ?? 'lost')).toBeGreaterThanOrEqual(STATES.indexOf(word));
          const result = { text: taskId.repeat(50) };
          expect([undefined, { type: 'result', result, isError: false }]).toContainEqual(task?.outcome);
          known++;
        }
      }
      expect(await store.size()).toBeGreaterThanOrEqual(known);
    },
  );
});
