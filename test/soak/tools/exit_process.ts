import { defineTool } from 'mcp-taskpool/tool';
import { z } from 'zod';

export default defineTool({
  description: 'Ends its process, it believes',
  input: z.object({ code: z.number() }),
  run: ({ code }) => process.exit(code),
});
