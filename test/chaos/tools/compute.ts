import { defineTool } from 'mcp-taskpool/tool';
import { z } from 'zod';
import { compute } from '../../soak/compute.ts';
import { ENV, started } from './_starts.ts';

export default defineTool({
  description: 'Computes for some milliseconds',
  env: ENV,
  input: z.object({ nonce: z.string(), seed: z.number(), rounds: z.number() }),
  run: ({ nonce, seed, rounds }) => {
    started(nonce);
    return { value: compute(seed, rounds) };
  },
});
