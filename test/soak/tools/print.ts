import { writeSync } from 'node:fs';
import { defineTool } from 'mcp-taskpool/tool';
import { z } from 'zod';

const LINE = '#'.repeat(1023);

const PRINT = {
  log: () => console.log(LINE),
  write: () => process.stdout.write(`${LINE}\n`),
  fd: () => writeSync(1, `${LINE}\n`),
};

export default defineTool({
  description: 'Prints 1 MB where the protocol would be',
  input: z.object({ how: z.enum(['log', 'write', 'fd']) }),
  run: ({ how }) => {
    for (let n = 0; n < 1024; n++) PRINT[how]();
    return 'printed';
  },
});
