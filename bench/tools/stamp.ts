import { defineTool } from 'mcp-taskpool/tool';
import { z } from 'zod';
import { clockMs } from '../clock.ts';

export default defineTool({
  description: 'Say when it ran',
  input: z.object({}),
  output: z.object({ at: z.number().describe('By the clock of the machine, in milliseconds') }),
  run: () => ({ at: clockMs() }),
});
