import type { z } from 'zod';
import { isContent, type Tool } from '../../tool.ts';
import type { Outcome } from '../../tasks/task.ts';
import { inspectJson } from './inspect-json.ts';

type Result = Readonly<Record<string, unknown>>;

/** A handler's return value as a CallToolResult, its structured content checked against the tool's `output`. */
export function toOutcome(tool: Tool, returned: unknown, maxResultMb: number): Outcome {
  const travel = inspectJson(returned, maxResultMb * 2 ** 20);
  if (!travel.fit) {
    const { path, reason } = travel;
    return errorResult(
      `The tool's result cannot be sent: ${path === '' ? 'result' : `result.${path}`}: ${reason}`,
    );
  }
  const full = isCallToolResult(returned, tool.output !== undefined);
  const result = full ? returned : toResult(returned);
  const problem = contentProblem(result['content'] as unknown[]);
  if (problem !== undefined) return errorResult(`The tool's result is malformed: ${problem}`);
  const isError = result['isError'] === true;
  // What a class makes of itself for JSON is not what a clone of it would be.
  const sent = (kept: Result): Outcome => ({
    type: 'result',
    result: travel.plain ? kept : (JSON.parse(JSON.stringify(kept)) as Result),
    isError,
  });
  if (tool.output === undefined || isError) return sent(result);
  const checked = tool.output.safeParse(result['structuredContent']);
  if (!checked.success) {
    return errorResult(
      `The tool's result does not match its output schema: ${describe(checked.error, 'result')}`,
    );
  }
  return sent(full ? { ...result, structuredContent: checked.data } : structured(checked.data));
}

/** A result that tells the caller, and so the model, what went wrong (2025-11-25, tools, "Error Handling"). */
export function errorResult(message: string): Outcome {
  return { type: 'result', result: { content: [textBlock(message)], isError: true }, isError: true };
}

/** Which fields are wrong and why, on one line. */
export function describe(error: z.core.$ZodError, whole: string): string {
  return error.issues
    .map((issue) => `${issue.path.length === 0 ? whole : issue.path.join('.')}: ${issue.message}`)
    .join('; ');
}

function toResult(returned: unknown): Result {
  if (returned === undefined || returned === null) return { content: [] };
  if (isContent(returned)) return { content: [returned] };
  if (Array.isArray(returned) && returned.length > 0 && returned.every(isContent))
    return { content: returned };
  if (typeof returned === 'object' && !Array.isArray(returned)) return structured(returned);
  return { content: [textBlock(typeof returned === 'string' ? returned : JSON.stringify(returned))] };
}

/** Structured content, and the same as text for clients that read only that (2025-11-25, tools, "Structured Content"). */
function structured(value: object): Result {
  return { content: [textBlock(JSON.stringify(value))], structuredContent: value };
}

/**
 * Whether a value is a full result. A tool with an `output` may describe an object that has a
 * `content` of its own; its full results are known by what only they have.
 */
function isCallToolResult(value: unknown, hasOutput: boolean): value is Result {
  if (typeof value !== 'object' || value === null) return false;
  const { content, structuredContent, isError } = value as Record<string, unknown>;
  if (
    !Array.isArray(content) ||
    !content.every((block) => typeof (block as Block | null)?.type === 'string')
  ) {
    return false;
  }
  return !hasOutput || structuredContent !== undefined || isError === true;
}

type Block = Readonly<Record<string, unknown>>;

/** The fields that a block of each kind cannot be without (2025-11-25, schema, ContentBlock). */
const NEEDED: Readonly<Record<string, readonly string[]>> = {
  text: ['text'],
  image: ['data', 'mimeType'],
  audio: ['data', 'mimeType'],
  resource_link: ['uri', 'name'],
  resource: [],
};

function contentProblem(blocks: readonly unknown[]): string | undefined {
  for (const [index, block] of (blocks as readonly Block[]).entries()) {
    const needed = NEEDED[block['type'] as string];
    if (needed === undefined)
      return `content.${index}.type: ${JSON.stringify(block['type'])} is no kind of content`;
    const missing = needed.find((field) => typeof block[field] !== 'string');
    if (missing !== undefined) return `content.${index}.${missing}: expected a string`;
    if (
      block['type'] === 'resource' &&
      typeof (block['resource'] as Block | null | undefined)?.['uri'] !== 'string'
    ) {
      return `content.${index}.resource.uri: expected a string`;
    }
  }
  return undefined;
}

function textBlock(text: string) {
  return { type: 'text', text };
}
