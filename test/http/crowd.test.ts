import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { TaskClient } from 'mcp-taskpool/client';
import { expect, it, onTestFinished } from 'vitest';

const SERVER = fileURLToPath(new URL('../../dist/test/fixtures/http-server.js', import.meta.url));
const SESSIONS = 200;
const TASKS = 5;
const MIB = 2 ** 20;

async function told<T>(child: ChildProcess): Promise<T> {
  const [message] = (await once(child, 'message')) as [T];
  return message;
}

async function heapOf(child: ChildProcess): Promise<number> {
  child.send('memory');
  return (await told<{ heapUsed: number }>(child)).heapUsed;
}

/** So many sessions at once, each with its tasks; gives what each task's result was, by what it was asked for. */
async function crowd(url: string, sessions: number, round: number): Promise<Map<string, unknown>> {
  const clients = await Promise.all(Array.from({ length: sessions }, () => TaskClient.connect({ url })));
  const results = new Map<string, unknown>();
  await Promise.all(
    clients.flatMap((client, session) =>
      Array.from({ length: TASKS }, async (_, n) => {
        const text = `round ${round}, session ${session}, task ${n}`;
        const task = client.startTask('echo', { text });
        expect(task.mode).not.toBe('call');
        results.set(text, (await task).data);
      }),
    ),
  );
  await Promise.all(clients.map((client) => client.close()));
  return results;
}

it(
  'serves 200 sessions with 5 tasks each at once: each result is its own, and nothing is left of them',
  { timeout: 240_000 },
  async () => {
    const child = fork(SERVER, [], { execArgv: ['--expose-gc'] });
    onTestFinished(() => void child.kill('SIGKILL'));
    const { url } = await told<{ url: string }>(child);
    // What is loaded and compiled once is no leak.
    await crowd(url, SESSIONS, 0);
    const start = await heapOf(child);
    for (let round = 1; round <= 2; round++) {
      const results = await crowd(url, SESSIONS, round);
      expect(results.size).toBe(SESSIONS * TASKS);
      expect([...results].filter(([text, result]) => text !== result)).toEqual([]);
    }
    // Their sessions have ended, and the tasks, which are kept for 20 s, are about to.
    while ((await heapOf(child)) > start + MIB) await setTimeout(200);
    child.send('end');
    expect(await once(child, 'exit')).toEqual([0, null]);
  },
);
