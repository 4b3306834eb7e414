import { setTimeout } from 'node:timers/promises';
import { defineTool } from 'mcp-taskpool/tool';
import { z } from 'zod';

const STEP_MS = 100;

export default defineTool({
  title: 'Sleep',
  description: 'Wait for some seconds, reporting progress, and say how long it took',
  input: z.object({
    seconds: z.number().min(0).max(3600).describe('How long to wait, in seconds; fractions are fine'),
  }),
  output: z.object({ sleptSeconds: z.number().describe('How long it really took, in seconds') }),
  annotations: { readOnlyHint: true, idempotentHint: true, openWorldHint: false },
  task: 'optional',
  workload: 'io',
  async run({ seconds }, { signal, progress }) {
    signal.throwIfAborted();
    const start = performance.now();
    const wanted = seconds * 1000;
    // The clock decides, not the number of steps: a late timer would add up over an hour.
    for (let slept = 0; slept < wanted; slept = performance.now() - start) {
      progress(slept / 1000, seconds, `${(slept / 1000).toFixed(1)} of ${seconds} s`);
      // This timer listens to the signal and clears itself and its listener when it is aborted.
      await setTimeout(Math.min(STEP_MS, wanted - slept), undefined, { signal });
    }
    progress(seconds, seconds, `${seconds} of ${seconds} s`);
    return { sleptSeconds: Math.round(performance.now() - start) / 1000 };
  },
});
