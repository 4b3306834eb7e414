import { defineTool } from 'mcp-taskpool/tool';
import { z } from 'zod';

export default defineTool({
  description: 'Leaves behind what nobody catches',
  input: z.object({ kind: z.enum(['exception', 'rejection']), ms: z.number() }),
  run: ({ kind, ms }) => {
    setTimeout(() => {
      if (kind === 'exception') throw new Error('left behind');
      void Promise.reject(new Error('left behind'));
    }, ms);
    return 'own result';
  },
});
