import { defineTool } from 'mcp-taskpool/tool';
import { z } from 'zod';
import { ENV, started } from './_starts.ts';

export default defineTool({
  description: 'Fails until it has been tried often enough',
  retry: { attempts: 3, backoff: 30 },
  env: ENV,
  input: z.object({ nonce: z.string(), failures: z.number() }),
  run: ({ nonce, failures }, { attempt }) => {
    started(nonce);
    if (attempt <= failures) throw new Error(`failure ${attempt} of ${nonce}`);
    return { nonce };
  },
});
