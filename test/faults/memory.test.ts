import { describe, expect, it } from 'vitest';
import { EVERYWHERE, IN_A_PROCESS, stage } from './scene.ts';

describe('A tool that fills its heap with small objects', () => {
  const tools = {
    hoard: 'maxMemoryMb: 64, run: () => { for (let all; ;) all = { all, more: Math.random() }; }',
  };
  stage(EVERYWHERE, tools, (scene) => {
    it('fails, with its limit', async () => {
      await scene.during(async (client) => {
        const task = client.startTask('hoard');
        await expect(task.result()).rejects.toThrow(/^hoard did not finish: out of memory.*\b64 MB/);
        expect((await task.status()).status).toBe('failed');
      });
    });
  });
});

/*
 * In processes only. An array that grows asks for more at once than the heap has left, which ends the process
 * whatever the limit of the thread is; and the limit of the process, which is what counts buffers, is the
 * server's own in a thread.
 */
describe('A tool that takes memory which no heap limit stops', () => {
  const grow = (one: string) => `maxMemoryMb: 64, run: () => { const all = []; for (;;) all.push(${one}); }`;
  const tools = {
    grow_array: grow('all.length'),
    grow_array_of_objects: grow('{}'),
    fill_buffers:
      'run: () => { const all = []; while (all.length < 2000) all.push(Buffer.alloc(1e6, 1)); return all.length; }',
    fill_large_buffers: `run: async () => {
      const all = [];
      for (; all.length < 60; await new Promise(setImmediate)) all.push(Buffer.alloc(50e6, 1));
      return all.length;
    }`,
    fill_buffers_by_and_by: `run: async () => {
      const all = [];
      for (; all.length < 2000; await new Promise(setImmediate)) all.push(Buffer.alloc(1e6, 1));
      return all.length;
    }`,
  };
  stage(
    IN_A_PROCESS,
    tools,
    (scene) => {
      // Whether the heap's limit or the end of the process comes first is for the runtime to say.
      it.each(['grow_array', 'grow_array_of_objects'])('fails, out of memory: %s', async (tool) => {
        await scene.during(async (client) => {
          const task = client.startTask(tool);
          await expect(task.result()).rejects.toThrow(/did not finish: .*out of memory/);
          expect((await task.status()).status).toBe('failed');
        }, 'may die');
      });

      it.each(['fill_buffers', 'fill_large_buffers', 'fill_buffers_by_and_by'])(
        'fails alone, with its size and the limit of the process: %s',
        async (tool) => {
          await scene.during(async (client) => {
            const task = client.startTask(tool);
            await expect(task.result()).rejects.toThrow(/out of memory: \d+ MB, limit 300 MB/);
            expect((await task.status()).status).toBe('failed');
          });
        },
      );
    },
    { maxMemoryMb: 300 },
  );
});
