import { defineTool } from 'mcp-taskpool/tool';
import { z } from 'zod';

export default defineTool({
  description: 'Crash the process that it runs in',
  input: z.object({}),
  run() {
    process.kill(process.pid, 'SIGSEGV');
    for (;;);
  },
});
