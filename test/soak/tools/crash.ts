import { defineTool } from 'mcp-taskpool/tool';
import { z } from 'zod';

export default defineTool({
  description: 'Takes the process of all tools with it, as a bug in a native add-on does',
  input: z.object({}),
  run: () => {
    process.kill(process.pid, 'SIGSEGV');
    for (;;);
  },
});
