import { defineTool } from 'mcp-taskpool/tool';
import { z } from 'zod';

export default defineTool({
  description: 'Computes for ever, and never looks whether it is wanted',
  input: z.object({}),
  // Longer than any of its callers waits.
  timeoutMs: 20_000,
  run: (_, { progress }) => {
    progress(1);
    for (;;);
  },
});
