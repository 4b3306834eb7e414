import { describe, expect, it } from 'vitest';
import { EVERYWHERE, stage } from './scene.ts';

const GRACE_MS = 50;
/** On a machine that does other things. */
const SLACK_MS = 2000;

const BODIES = {
  an_endless_loop: 'for (;;) {}',
  endless_microtasks: 'return new Promise(() => { (function again() { queueMicrotask(again); })(); });',
  an_endless_await_loop: 'return (async () => { for (;;) await null; })();',
  a_wait_for_ever: 'Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);',
};

const tools: Record<string, string> = {};
for (const [name, body] of Object.entries(BODIES)) {
  const run = `run: (_, { progress }) => { progress(1); ${body} }`;
  tools[name] = run;
  tools[`${name}_limited`] = `timeoutMs: 200, ${run}`;
}

describe('A tool that never gives way', () => {
  stage(EVERYWHERE, tools, (scene) => {
    /** The other task has one of the two threads: the next one can only run on this one's, or its successor. */
    const untilNext = async (): Promise<number> => {
      const since = performance.now();
      await scene.client.startTask('next');
      return performance.now() - since;
    };

    it.each(Object.keys(BODIES))('is stopped by a cancellation: %s', async (tool) => {
      const took = await scene.during(async () => {
        const { task } = await scene.begun(tool);
        expect((await task.cancel()).status).toBe('cancelled');
        return untilNext();
      });
      expect(took).toBeLessThan(GRACE_MS + SLACK_MS);
    });

    it.each(Object.keys(BODIES))('is stopped by its timeout: %s', async (tool) => {
      const took = await scene.during(async () => {
        const { task } = await scene.begun(`${tool}_limited`);
        await expect(task.result()).rejects.toThrow(`${tool}_limited timed out after 200 ms`);
        expect((await task.status()).status).toBe('failed');
        return untilNext();
      });
      expect(took).toBeLessThan(GRACE_MS + SLACK_MS);
    });
  });
});
