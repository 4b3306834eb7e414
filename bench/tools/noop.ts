import { defineTool } from 'mcp-taskpool/tool';
import { z } from 'zod';

export default defineTool({
  description: 'Do nothing',
  input: z.object({}),
  run: () => 'done',
});
