import { setTimeout as sleep } from 'node:timers/promises';
import { defineTool } from 'mcp-taskpool/tool';
import { z } from 'zod';
import { ENV, started } from './_starts.ts';

export default defineTool({
  description: 'Waits on a shared thread',
  workload: 'io',
  env: ENV,
  input: z.object({ nonce: z.string(), ms: z.number() }),
  run: async ({ nonce, ms }, { signal }) => {
    started(nonce);
    await sleep(ms, undefined, { signal });
    return { waitedMs: ms };
  },
});
