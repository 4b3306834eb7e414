import { defineTool } from 'mcp-taskpool/tool';
import { z } from 'zod';

export default defineTool({
  description: 'Compute until it is cancelled',
  input: z.object({}),
  run(_args, { signal, progress }) {
    // Says that it has begun.
    progress(0);
    while (true) signal.throwIfAborted();
  },
});
