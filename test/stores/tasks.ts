import type { Outcome, Task } from 'mcp-taskpool';

export function aTask(fields: Partial<Task> & { taskId: string }): Task {
  const { createdAt = 1, ttlMs = 60_000 } = fields;
  return {
    owner: 'ada',
    call: { tool: 'noop', args: { n: 1 }, lane: 'cpu' },
    state: 'queued',
    createdAt,
    updatedAt: 1,
    ttlMs,
    expiresAt: createdAt + ttlMs,
    pollIntervalMs: 1000,
    ...fields,
  };
}

export const NOTHING: Outcome = { type: 'result', result: { content: [] }, isError: false };
