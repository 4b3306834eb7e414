import { setTimeout } from 'node:timers/promises';
import { defineTool } from 'mcp-taskpool/tool';
import { z } from 'zod';
import { clockMs } from '../clock.ts';

export default defineTool({
  description: 'Wait, and say when it ended',
  input: z.object({ ms: z.number().min(0) }),
  output: z.object({ at: z.number().describe('By the clock of the machine, in milliseconds') }),
  workload: 'io',
  async run({ ms }, { signal }) {
    await setTimeout(ms, undefined, { signal });
    return { at: clockMs() };
  },
});
