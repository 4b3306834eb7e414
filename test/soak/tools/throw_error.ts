import { defineTool } from 'mcp-taskpool/tool';
import { z } from 'zod';

export default defineTool({
  description: 'Throws',
  input: z.object({ message: z.string() }),
  run: ({ message }) => {
    throw new Error(message);
  },
});
