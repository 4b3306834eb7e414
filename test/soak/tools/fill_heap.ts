import { defineTool } from 'mcp-taskpool/tool';
import { z } from 'zod';

export default defineTool({
  description: 'Keeps small objects until its heap is full',
  input: z.object({}),
  maxMemoryMb: 64,
  run: () => {
    for (let all: unknown; ;) all = { all, more: Math.random() };
  },
});
