import { defineTool } from 'mcp-taskpool/tool';
import { z } from 'zod';

export default defineTool({
  description: 'Compute for ever, whatever the signal says',
  input: z.object({}),
  run(_args, { progress }) {
    // Says that it has begun.
    progress(0);
    while (true);
  },
});
