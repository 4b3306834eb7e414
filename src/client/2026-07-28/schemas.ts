import {
  CallToolResultSchema,
  ListToolsResultSchema,
  ToolSchema,
  type CallToolResult,
  type Task,
  type Tool,
} from '@modelcontextprotocol/sdk/types.js';
import { z } from 'zod';
import type { Schema } from '../schema.ts';

/** The shapes of this revision, as far as they differ from those of 2025-11-25. (Made once: zod compiles each.) */

const TaskShape = z.looseObject({
  taskId: z.string(),
  status: z.enum(['working', 'input_required', 'completed', 'failed', 'cancelled']),
  statusMessage: z.string().optional(),
  createdAt: z.string(),
  lastUpdatedAt: z.string(),
  ttlMs: z.number().nullable(),
  pollIntervalMs: z.number().optional(),
});

/** What the server asks: the key is the answer's, too (multi round-trip requests, "InputRequests"). */
export const InputRequestsSchema = z.record(
  z.string(),
  z.looseObject({ method: z.string(), params: z.looseObject({}).optional() }),
);
export type InputRequests = z.infer<typeof InputRequestsSchema>;

/** What a call may be answered with instead of a result (ext-tasks, "Task Creation"). */
export const CreateTaskResultSchema = TaskShape;

/** A task with what its status brings (ext-tasks, "Task Status"). */
export const DetailedTaskSchema = z.discriminatedUnion('status', [
  TaskShape.extend({ status: z.literal('working') }),
  TaskShape.extend({ status: z.literal('input_required'), inputRequests: InputRequestsSchema }),
  TaskShape.extend({ status: z.literal('completed'), result: z.looseObject({}) }),
  TaskShape.extend({
    status: z.literal('failed'),
    error: z.looseObject({ code: z.number(), message: z.string(), data: z.unknown().optional() }),
  }),
  TaskShape.extend({ status: z.literal('cancelled') }),
]);
export type DetailedTask = z.infer<typeof DetailedTaskSchema>;

/** As the handles know a task. */
export function toTask(task: z.infer<typeof TaskShape>): Task & { _meta?: unknown } {
  const { ttlMs, pollIntervalMs, ...rest } = task;
  return {
    ...rest,
    ttl: ttlMs,
    ...(pollIntervalMs !== undefined && { pollInterval: pollIntervalMs }),
  };
}

/** A call that is to be made again, with answers (multi round-trip requests, "InputRequiredResult"). */
export const InputRequiredResultSchema = z
  .looseObject({ inputRequests: InputRequestsSchema.optional(), requestState: z.string().optional() })
  .refine(({ inputRequests, requestState }) => inputRequests !== undefined || requestState !== undefined, {
    error: 'an input_required result must have inputRequests or requestState',
  });

/** Structured content may be any JSON value now. */
export const ToolResultSchema = CallToolResultSchema.extend({
  structuredContent: z.unknown().optional(),
}) as unknown as Schema<CallToolResult>;

/** An output schema need not be an object's any more; and the list says how long it may be kept. */
export const ToolPageSchema = ListToolsResultSchema.extend({
  tools: ToolSchema.extend({ outputSchema: z.looseObject({}).optional() }).array(),
  ttlMs: z.number().catch(0),
}) as unknown as Schema<{ tools: Tool[]; nextCursor?: string; ttlMs: number }>;

export const DiscoverResultSchema = z.looseObject({
  supportedVersions: z.string().array(),
  capabilities: z.looseObject({ extensions: z.record(z.string(), z.unknown()).optional() }),
});

export const AcknowledgedSchema = z.looseObject({
  notifications: z.looseObject({ taskIds: z.string().array().optional() }),
});
