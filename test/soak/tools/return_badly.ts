import { defineTool } from 'mcp-taskpool/tool';
import { z } from 'zod';

const circle: Record<string, unknown> = {};
circle['a'] = circle;

const RESULTS = {
  function: () => ({ a: () => {} }),
  circle: () => circle,
  bigint: () => ({ a: 1n }),
  nan: () => ({ a: NaN }),
  large: () => 'x'.repeat(11 * 2 ** 20),
};

export default defineTool({
  description: 'Returns what cannot be sent',
  input: z.object({ kind: z.enum(['function', 'circle', 'bigint', 'nan', 'large']) }),
  run: ({ kind }) => RESULTS[kind](),
});
