import { defineTool } from 'mcp-taskpool/tool';
import { z } from 'zod';
import { textOf } from '../work.ts';
import { ENV, started } from './_starts.ts';

export default defineTool({
  description: 'Gives a text that is too large to stand beside others',
  env: ENV,
  input: z.object({ nonce: z.string(), seed: z.number(), length: z.number() }),
  run: ({ nonce, seed, length }) => {
    started(nonce);
    return textOf(seed, length);
  },
});
