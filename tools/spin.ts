import { defineTool } from 'mcp-taskpool/tool';
import { z } from 'zod';

export default defineTool({
  title: 'Spin',
  description:
    'Compute for ever without a look at the signal. Good for nothing but to see that the server goes on, ' +
    'and that a cancellation or a timeout stops it',
  input: z.object({}),
  annotations: { readOnlyHint: true, openWorldHint: false },
  task: 'required',
  workload: 'cpu',
  run() {
    while (true);
  },
});
