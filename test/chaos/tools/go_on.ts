import { setTimeout as sleep } from 'node:timers/promises';
import { defineTool } from 'mcp-taskpool/tool';
import { z } from 'zod';
import { compute } from '../../soak/compute.ts';
import { STEP_ROUNDS } from '../work.ts';
import { ENV, started } from './_starts.ts';

const STEP_MS = 8;

export default defineTool({
  description: 'Takes many steps, and goes on after an interruption from the last that it has kept',
  idempotent: true,
  env: ENV,
  input: z.object({ nonce: z.string(), seed: z.number(), steps: z.number() }),
  run: async ({ nonce, seed, steps }, { signal, progress, checkpoint, checkpointed }) => {
    let { step, value } = (checkpointed as { step: number; value: number } | undefined) ?? {
      step: 0,
      value: seed,
    };
    started(nonce, step);
    for (; step < steps; checkpoint({ step, value })) {
      await sleep(STEP_MS, undefined, { signal });
      value = compute(value, STEP_ROUNDS);
      step++;
      progress(step, steps);
    }
    return { value };
  },
});
