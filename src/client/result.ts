import type { CallToolResult } from '@modelcontextprotocol/sdk/types.js';
import { TASK_META, type TaskMeta } from '../wire/meta.ts';

/** What a tool returned. */
export interface ToolResult<T = unknown> {
  /** The structured content, or else the text. */
  data: T;
  /** Every text block, joined by line breaks. */
  text: string;
  /** Text, images, audio and resources, in the tool's order. */
  content: CallToolResult['content'];
  /** Only where the tool gave some: an object, or, on 2026-07-28, any JSON value. */
  structuredContent?: unknown;
  /** Whether the tool itself reports a failure; `text` then says which. */
  isError: boolean;
  /** How long it waited and ran, and on which thread; from mcp-taskpool servers only. */
  meta?: TaskMeta;
  /** As it came over the wire. */
  raw: CallToolResult;
}

export function toToolResult<T>(raw: CallToolResult): ToolResult<T> {
  const text = raw.content
    .filter((block) => block.type === 'text')
    .map((block) => block.text)
    .join('\n');
  const meta = metaOf(raw);
  const structuredContent: unknown = raw.structuredContent;
  return {
    data: (structuredContent === undefined ? text : structuredContent) as T,
    text,
    content: raw.content,
    ...(structuredContent !== undefined && { structuredContent }),
    isError: raw.isError === true,
    ...(meta !== undefined && { meta }),
    raw,
  };
}

/** What an mcp-taskpool server adds to tasks and results. */
export function metaOf({ _meta }: { _meta?: unknown }): TaskMeta | undefined {
  const meta = (_meta as Record<string, unknown> | undefined)?.[TASK_META];
  return typeof meta === 'object' && meta !== null ? (meta as TaskMeta) : undefined;
}
