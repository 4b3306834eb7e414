import { defineTool } from 'mcp-taskpool/tool';
import { z } from 'zod';

export default defineTool({
  description: 'Takes 2 GB that no heap limit counts',
  input: z.object({}),
  run: () => {
    const all: Buffer[] = [];
    while (all.length < 2000) all.push(Buffer.alloc(1e6, 1));
    return all.length;
  },
});
