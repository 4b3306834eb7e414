import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { CancelTaskResultSchema, GetTaskResultSchema } from '@modelcontextprotocol/sdk/types.js';
import { describe, expect, it } from 'vitest';
import { stateOf } from '../fixtures/threads.ts';
import { EVERYWHERE, IN_MEMORY, stage, type Scene } from './scene.ts';

const tools = {
  quick: "run: () => 'quick'",
  spin: 'run: (_, { progress }) => { progress(1); for (;;); }',
  obey: 'run: (_, { progress, signal }) => { progress(1); for (;;) signal.throwIfAborted(); }',
  leave_trace: `input: z.object({ path: z.string() }), run: async ({ path }) => {
    const { writeFileSync } = await import('node:fs');
    writeFileSync(path, '');
  }`,
};

/** Asks the server, whatever the client knows already; gives the status, or the error's code. */
async function ask({ client }: Scene, method: 'tasks/cancel' | 'tasks/get', taskId: string) {
  const schema = method === 'tasks/get' ? GetTaskResultSchema : CancelTaskResultSchema;
  return client.sdk.request({ method, params: { taskId } }, schema).then(
    ({ status }) => status,
    (error: { code: number }) => error.code,
  );
}

/**
 * How long the main threads of the client and of the server have run, together: what they take when the machine
 * does nothing else, and they take turns.
 */
function ranMs({ pid }: Scene): number {
  const pids = [...new Set([process.pid, pid])];
  return pids.reduce((sum, pid) => sum + (stateOf(pid, pid)?.ranMs ?? 0), 0);
}

/** The ends of each task that the server has told of. */
function endsOf({ received }: Scene): Map<string, string[]> {
  const ends = new Map<string, string[]>();
  for (const message of received) {
    if (!('method' in message) || message.method !== 'notifications/tasks/status') continue;
    const { taskId, status } = message.params as { taskId: string; status: string };
    if (status !== 'working') ends.set(taskId, [...(ends.get(taskId) ?? []), status]);
  }
  return ends;
}

describe('A task that is cancelled', () => {
  stage(EVERYWHERE, tools, (scene) => {
    it('never starts, when it is queued', async () => {
      const path = join(scene.folder, 'trace');
      const { taskId, next } = await scene.during(async (client) => {
        const { task: first } = await scene.begun('obey');
        const taskId = (await client.startTask('leave_trace', { path }).created())!;
        expect(await ask(scene, 'tasks/cancel', taskId)).toBe('cancelled');
        await first.cancel();
        return { taskId, next: await client.startTask('next') };
      });
      expect(next.isError).toBe(false);
      expect(existsSync(path)).toBe(false);
      expect(endsOf(scene).get(taskId)).toEqual(['cancelled']);
    });

    it.each(['obey', 'spin'])('ends once, when it runs and is cancelled twice: %s', async (tool) => {
      await scene.during(async () => {
        const { taskId } = await scene.begun(tool);
        const both = await Promise.all([
          ask(scene, 'tasks/cancel', taskId),
          ask(scene, 'tasks/cancel', taskId),
        ]);
        expect(both).toEqual(['cancelled', -32602]);
        expect(await ask(scene, 'tasks/get', taskId)).toBe('cancelled');
        expect(endsOf(scene).get(taskId)).toEqual(['cancelled']);
      });
    });

    it('stays what it is, when it has finished', async () => {
      await scene.during(async (client) => {
        const task = client.startTask('quick');
        const { text } = await task;
        expect(await ask(scene, 'tasks/cancel', task.taskId!)).toBe(-32602);
        expect(await ask(scene, 'tasks/get', task.taskId!)).toBe('completed');
        expect((await client.task(task.taskId!)).text).toBe(text);
      });
    });

    it('gives its thread back when its time to live runs out, and is unknown then', async () => {
      await scene.during(async (client) => {
        const { task, taskId } = await scene.begun('spin', {}, { ttl: 1500 });
        await expect(task.result()).rejects.toMatchObject({ code: -32602 });
        expect((await client.startTask('next')).isError).toBe(false);
        expect(await ask(scene, 'tasks/get', taskId)).toBe(-32602);
        expect(await ask(scene, 'tasks/cancel', taskId)).toBe(-32602);
      });
    });

    it('is one of 10,000 that were queued, of which none starts', { timeout: 60_000 }, async () => {
      const path = join(scene.folder, 'traces');
      const { taskIds, took } = await scene.during(async (client) => {
        const { task: first } = await scene.begun('obey');
        const taskIds: string[] = [];
        const inTurn = async (each: () => Promise<unknown>) => {
          for (let n = 0; n < 1000; n++) {
            // No more at once: pings wait behind them in the same pipe.
            await Promise.all(Array.from({ length: 10 }, each));
            // In memory nothing else gives way, and pings are to be sent meanwhile.
            await new Promise(setImmediate);
          }
        };
        await inTurn(async () => taskIds.push((await client.startTask('leave_trace', { path }).created())!));
        const before = ranMs(scene);
        const left = taskIds.values();
        const answers = new Set<unknown>();
        await inTurn(async () => answers.add(await ask(scene, 'tasks/cancel', left.next().value!)));
        const took = ranMs(scene) - before;
        expect([...answers]).toEqual(['cancelled']);
        await first.cancel();
        await client.startTask('next');
        return { taskIds, took };
      });
      // Not meanwhile: to look through all that was told takes this thread a while.
      const told = () => {
        const ends = endsOf(scene);
        return [...new Set(taskIds.map((taskId) => ends.get(taskId)?.join()))];
      };
      await expect.poll(told).toEqual(['cancelled']);
      expect(existsSync(path)).toBe(false);
      expect(took).toBeLessThan(2000);
    });

    it(
      'has ended one way or the other, 1,000 times, when it was about to finish',
      {
        timeout: 60_000,
      },
      async () => {
        const answers = new Map<string, unknown>();
        await scene.during(async (client) => {
          // After which it is cancelled: later where it had not ended, and sooner where it had.
          let pauseMs = 0.5;
          for (let n = 0; n < 1000; n++) {
            const taskId = (await client.startTask('quick').created())!;
            for (const at = performance.now() + pauseMs; performance.now() < at;)
              await new Promise(setImmediate);
            const answer = await ask(scene, 'tasks/cancel', taskId);
            pauseMs = answer === 'cancelled' ? pauseMs * 1.1 + 0.01 : pauseMs / 1.1;
            answers.set(taskId, answer);
          }
        });
        const ends = endsOf(scene);
        for (const [taskId, answer] of answers) {
          const end = answer === 'cancelled' ? 'cancelled' : 'completed';
          expect([taskId, ends.get(taskId)]).toEqual([taskId, [end]]);
          expect(await ask(scene, 'tasks/get', taskId)).toBe(end);
        }
        // It was a race.
        expect(new Set(answers.values())).toEqual(new Set(['cancelled', -32602]));
      },
    );
  });

  stage(IN_MEMORY, tools, (scene) => {
    it('does not take the next task with it, when the server is busy while it stops', async () => {
      // On both threads: whichever the next task comes to.
      const tasks = [await scene.begun('obey'), await scene.begun('obey')];
      await Promise.all(tasks.map(({ taskId }) => ask(scene, 'tasks/cancel', taskId)));
      // In memory the server's thread is this one. It sleeps for longer than a task has to stop.
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 200);
      const next = await Promise.all([1, 2, 3, 4].map(() => scene.client.startTask('next').result()));
      expect(next.map(({ isError }) => isError)).toEqual([false, false, false, false]);
    });
  });
});
