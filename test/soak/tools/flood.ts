import { defineTool } from 'mcp-taskpool/tool';
import { z } from 'zod';

export default defineTool({
  description: 'Reports and logs without end',
  input: z.object({ ms: z.number() }),
  run: ({ ms }, { progress, log }) => {
    let n = 0;
    for (const end = Date.now() + ms; Date.now() < end;) {
      progress(++n, 1e9, `step ${n}`);
      log('info', `line ${n}`);
    }
    return { n };
  },
});
