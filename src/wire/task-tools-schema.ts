import type { ToolAnnotations } from '@modelcontextprotocol/sdk/types.js';
import { z } from 'zod';
import type { ServedTool } from './tools.ts';

/** Hosts kill calls after 60 s, many of them, and the answer needs some time on its way. */
const LONGEST_WAIT_S = 50;
const DEFAULT_WAIT_S = 25;
const LONGEST_KEY = 256;
const LONGEST_PAGE = 100;

export const TASK_TOOL_NAMES = ['start_task', 'check_task', 'cancel_task', 'list_tasks'] as const;

export type TaskToolName = (typeof TASK_TOOL_NAMES)[number];

const taskId = z.string().describe('The taskId that start_task gave');

export const START = z.strictObject({
  tool: z.string().describe('The name of the tool to start, without any prefix'),
  arguments: z
    .looseObject({})
    .default({})
    .describe("The tool's arguments, as its own input schema describes them"),
  ttlSeconds: z
    .number()
    .positive()
    .optional()
    .describe('How long the task and its result are kept, from now; expiresAt in the answer says until when'),
  idempotencyKey: z
    .string()
    .min(1)
    .max(LONGEST_KEY)
    .optional()
    .describe(
      'Any text of your choice: starting again with the same one gives the same task, not a second one',
    ),
});

export const CHECK = z.strictObject({
  taskId,
  waitSeconds: z
    .number()
    .min(0)
    .max(LONGEST_WAIT_S)
    .default(DEFAULT_WAIT_S)
    .describe('How long to wait for the end of the task; 0 only looks'),
});

export const CANCEL = z.strictObject({ taskId });

export const LIST = z.strictObject({
  cursor: z.string().optional().describe('The nextCursor of the page before'),
  limit: z.int().min(1).max(LONGEST_PAGE).optional().describe('How many tasks to list'),
});

const TASK = z.object({
  taskId: z.string(),
  tool: z.string(),
  status: z.enum(['queued', 'running', 'input_required', 'completed', 'failed', 'cancelled']),
  message: z.string().describe('How it stands, in words'),
  ahead: z.number().optional().describe('How many tasks start before this one, while it is queued'),
  progress: z
    .object({ done: z.number(), total: z.number().optional() })
    .optional()
    .describe('What the tool last reported, in its own unit'),
  queuedSeconds: z.number().describe('How long it has waited for its start'),
  ranSeconds: z.number().optional().describe('How long it has run'),
  createdAt: z.string().describe('ISO 8601'),
  expiresAt: z.string().describe('Until when the task and its result are kept'),
});

const NEXT = z.string().describe('What to do next');

const STARTED = TASK.extend({ next: NEXT });

const CHECKED = TASK.extend({
  result: z
    .unknown()
    .optional()
    .describe('What the tool gave: its structured content, or else its text; the content has the rest'),
  next: NEXT.optional(),
});

const LISTED = z.object({
  tasks: z.array(TASK),
  nextCursor: z.string().optional().describe('There are more: pass it as the cursor'),
});

export type TaskRecord = z.output<typeof TASK>;

/** @param tools those that the server has */
export function taskToolDefinitions(tools: readonly ServedTool[]): ServedTool['definition'][] {
  const startable = namesOf(tools, ({ task }) => task !== 'forbidden');
  const required = namesOf(tools, ({ task }) => task === 'required');
  const start = START.extend({
    tool: startable.length === 0 ? START.shape.tool : START.shape.tool.meta({ enum: startable }),
  });
  const only = required.length === 0 ? '' : ` These can be started in this way only: ${required.join(', ')}.`;
  return [
    define('start_task', {
      title: 'Start a task',
      description:
        'Starts another tool of this server in the background, and returns at once with a taskId; then call ' +
        'check_task with the taskId to get the result. Use it for work that may take longer than a minute, or to run ' +
        `several tools at the same time. Arguments that do not fit are refused at once, and nothing is started.${only}`,
      input: start,
      output: STARTED,
    }),
    define('check_task', {
      title: 'Check on a task',
      description:
        'Gives the status of a task that start_task has started, and its result when it has ended. It does the ' +
        'waiting for you: it returns the moment the task ends, and otherwise after waitSeconds, with the progress ' +
        'so far. Progress alone does not end the waiting. While the status is queued, running or input_required ' +
        '(the user is being asked for something), call it again with the same taskId, at once, and as often as it ' +
        'takes: tasks may run for hours. When the status is completed or failed, the content is what the tool gave.',
      input: CHECK,
      output: CHECKED,
      annotations: { readOnlyHint: true, openWorldHint: false },
    }),
    define('cancel_task', {
      title: 'Cancel a task',
      description: 'Stops a task, whether it is queued or running. What it has done so far is lost.',
      input: CANCEL,
      output: TASK,
      annotations: { destructiveHint: true, idempotentHint: true, openWorldHint: false },
    }),
    define('list_tasks', {
      title: 'List the tasks',
      description:
        'Lists your tasks from the oldest to the newest, with their status and without their results, which ' +
        'check_task gives. Use it to find a taskId again.',
      input: LIST,
      output: LISTED,
      annotations: { readOnlyHint: true, openWorldHint: false },
    }),
  ];
}

interface Parts {
  title: string;
  description: string;
  input: z.ZodObject;
  output: z.ZodObject;
  annotations?: ToolAnnotations;
}

function define(name: TaskToolName, { input, output, ...parts }: Parts): ServedTool['definition'] {
  type Schema = ServedTool['definition']['inputSchema'];
  return {
    name,
    ...parts,
    inputSchema: z.toJSONSchema(input, { io: 'input', target: 'draft-7' }) as Schema,
    outputSchema: z.toJSONSchema(output, { io: 'output', target: 'draft-7' }) as Schema,
  };
}

function namesOf(tools: readonly ServedTool[], fits: (tool: ServedTool) => boolean): string[] {
  return tools.filter(fits).map(({ definition }) => definition.name);
}
