import { getEventListeners } from 'node:events';
import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { InMemoryTransport } from '@modelcontextprotocol/sdk/inMemory.js';
import { CallToolResultSchema } from '@modelcontextprotocol/sdk/types.js';
import { TaskClient } from 'mcp-taskpool/client';
import { describe, expect, it, onTestFinished } from 'vitest';
import { EVERYWHERE, IN_MEMORY, OVER_STDIO, stage, type Scene } from './scene.ts';

setFlagsFromString('--expose-gc');
const gc = runInNewContext('gc') as () => void;

const tools = {
  hold: `input: z.object({ gate: z.string() }), run: async ({ gate }, { progress }) => {
    const { existsSync } = await import('node:fs');
    for (let n = 1; !existsSync(gate); n++) {
      progress(n);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    return 'held';
  }`,
  write_soon: `input: z.object({ path: z.string() }), run: async ({ path }, { progress }) => {
    const { writeFileSync } = await import('node:fs');
    progress(1);
    await new Promise((resolve) => setTimeout(resolve, 300));
    writeFileSync(path, '');
  }`,
};

let gates = 0;

/** A file that a task waits for; it is there at the latest when the test has ended. */
function newGate(scene: Scene): string {
  const gate = join(scene.folder, `test-gate-${++gates}`);
  onTestFinished(() => writeFile(gate, ''));
  return gate;
}

describe('A client that drops what it asked for', () => {
  stage(EVERYWHERE, tools, (scene) => {
    it('does not stop the task, whose result is there for the next request', async () => {
      await scene.during(async (client) => {
        const gate = newGate(scene);
        const { task, taskId } = await scene.begun('hold', { gate });
        const params = { taskId };
        for (let n = 0; n < 100; n++) {
          const stop = new AbortController();
          const asked = client.sdk.request({ method: 'tasks/result', params }, CallToolResultSchema, {
            signal: stop.signal,
          });
          stop.abort(new Error('dropped'));
          await expect(asked).rejects.toThrow('dropped');
        }
        expect((await task.status()).status).toBe('working');
        await writeFile(gate, '');
        expect((await task).text).toBe('held');
      });
    });
  });
});

/** Of every request to a server in memory. */
const signals: AbortSignal[] = [];
const listeners = () => signals.flatMap((signal) => getEventListeners(signal, 'abort'));

/** In memory only: over stdio the server has one client, and ends with it. */
describe('A client that goes while its task runs', () => {
  stage(
    IN_MEMORY,
    tools,
    (scene) => {
      it("leaves the task to the same owner's other clients, and no listener", async () => {
        await scene.during(async (client) => {
          const gate = newGate(scene);
          const other = await scene.join();
          const task = other.startTask('hold', { gate });
          const taskId = (await task.created())!;
          await task.wait({ status: 'working' });
          const result = task.result();
          result.catch(() => {});
          await expect.poll(listeners).not.toEqual([]);
          await other.close();
          await expect(result).rejects.toThrow('The client is closed');
          await expect.poll(listeners).toEqual([]);
          const taken = client.task(taskId);
          expect((await taken.status()).status).toBe('working');
          await writeFile(gate, '');
          expect((await taken).text).toBe('held');
        });
      });

      it('leaves no listener when it drops a request for a result, either', async () => {
        await scene.during(async (client) => {
          const gate = newGate(scene);
          const { task, taskId } = await scene.begun('hold', { gate });
          const stop = new AbortController();
          const asked = client.sdk.request(
            { method: 'tasks/result', params: { taskId } },
            CallToolResultSchema,
            {
              signal: stop.signal,
            },
          );
          await expect.poll(listeners).not.toEqual([]);
          stop.abort(new Error('dropped'));
          await expect(asked).rejects.toThrow('dropped');
          await expect.poll(listeners).toEqual([]);
          await writeFile(gate, '');
          expect((await task).text).toBe('held');
        });
      });

      it('is forgotten, though its task goes on', async () => {
        await scene.during(async (client) => {
          const gate = newGate(scene);
          const { taskId, server } = await visit(scene, gate);
          await expect
            .poll(() => {
              gc();
              // Not the object: what a poll has seen, it keeps.
              return server.deref() === undefined;
            })
            .toBe(true);
          await writeFile(gate, '');
          expect((await client.task(taskId)).text).toBe('held');
        });
      });
    },
    {
      owner: (caller) => {
        // The SDK's own object, which has more than is promised.
        signals.push((caller as { signal: AbortSignal }).signal);
        return 'local';
      },
    },
  );
});

/** Starts a task with progress, and goes; gives the server's end of its connection, for as long as that is kept. */
async function visit(scene: Scene, gate: string): Promise<{ taskId: string; server: WeakRef<object> }> {
  const [near, far] = InMemoryTransport.createLinkedPair();
  const server = new WeakRef<object>(await scene.server.connect(far));
  const client = await TaskClient.connect(near);
  let report!: () => void;
  const reported = new Promise<void>((resolve) => (report = resolve));
  const taskId = (await client.startTask('hold', { gate }, { onProgress: () => report() }).created())!;
  await reported;
  await client.close();
  signals.length = 0;
  return { taskId, server };
}

describe("A client that ends the server's input while its task runs", () => {
  stage(OVER_STDIO, tools, (scene) => {
    it('does not stop the task, for which the server waits', async () => {
      const path = join(scene.folder, 'written');
      await scene.begun('write_soon', { path });
      await scene.child.close();
      expect(await scene.child.ended).toEqual({ code: 0, signal: null });
      expect(existsSync(path)).toBe(true);
    });
  });
});
