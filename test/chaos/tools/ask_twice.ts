import { defineTool } from 'mcp-taskpool/tool';
import { z } from 'zod';
import { ENV, started } from './_starts.ts';

const requestedSchema = z.object({ n: z.number() });

export default defineTool({
  description: 'Asks for two numbers, and adds them up',
  env: ENV,
  input: z.object({ nonce: z.string() }),
  run: async ({ nonce }, { input }) => {
    started(nonce);
    const first = await input({ key: `first-${nonce}`, message: 'First?', requestedSchema });
    const second = await input({ message: 'Second?', requestedSchema });
    if (first.action !== 'accept' || second.action !== 'accept') throw new Error('no answer');
    return { sum: first.content.n + second.content.n };
  },
});
