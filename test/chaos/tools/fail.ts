import { defineTool } from 'mcp-taskpool/tool';
import { z } from 'zod';
import { ENV, started } from './_starts.ts';

export default defineTool({
  description: 'Fails',
  env: ENV,
  input: z.object({ nonce: z.string() }),
  run: ({ nonce }) => {
    started(nonce);
    throw new Error(`failed ${nonce}`);
  },
});
