import { defineTool } from 'mcp-taskpool/tool';
import { z } from 'zod';

export default defineTool({
  title: 'Greet',
  description: 'Greet somebody by name',
  input: z.object({ name: z.string().min(1).describe('Who to greet') }),
  annotations: { readOnlyHint: true, idempotentHint: true, openWorldHint: false },
  task: 'forbidden',
  workload: 'io',
  run: ({ name }) => `Hello, ${name}!`,
});
