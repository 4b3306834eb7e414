import { setTimeout as sleep } from 'node:timers/promises';
import { defineTool } from 'mcp-taskpool/tool';
import { z } from 'zod';

export default defineTool({
  description: 'Waits on a shared thread, and gives back what it was given',
  workload: 'io',
  input: z.object({ word: z.string(), ms: z.number() }),
  run: async ({ word, ms }, { progress, signal }) => {
    progress(1, 2);
    await sleep(ms, undefined, { signal });
    return { word };
  },
});
