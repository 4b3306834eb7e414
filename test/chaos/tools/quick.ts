import { defineTool } from 'mcp-taskpool/tool';
import { z } from 'zod';
import { ENV, started } from './_starts.ts';

export default defineTool({
  description: 'Gives back at once what it was given',
  env: ENV,
  input: z.object({ nonce: z.string(), word: z.string() }),
  run: ({ nonce, word }) => {
    started(nonce);
    return { word };
  },
});
