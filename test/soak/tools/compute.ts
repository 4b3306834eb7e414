import { defineTool } from 'mcp-taskpool/tool';
import { z } from 'zod';
import { compute } from '../compute.ts';

export default defineTool({
  description: 'Computes what the auditor computes as well',
  input: z.object({ seed: z.number(), rounds: z.number() }),
  run: ({ seed, rounds }) => ({ value: compute(seed, rounds) }),
});
