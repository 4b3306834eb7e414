import { defineTool } from 'mcp-taskpool/tool';
import { z } from 'zod';

export default defineTool({
  description: 'Takes longer than it may',
  input: z.object({}),
  timeoutMs: 100,
  run: () => {
    for (;;);
  },
});
