import type { JSONRPCRequest } from '@modelcontextprotocol/sdk/types.js';
import { REVISION } from './names.ts';

/** The headers that every request has, in lower case (Streamable HTTP, "Request Metadata"). */
export function standardHeaders({ method, params }: JSONRPCRequest): Record<string, string> {
  const name = method.startsWith('tasks/') ? params?.['taskId'] : params?.['name'];
  return {
    'content-type': 'application/json',
    accept: 'application/json, text/event-stream',
    'mcp-protocol-version': REVISION,
    'mcp-method': method,
    // For tasks: ext-tasks, "Streamable HTTP: Routing Headers".
    ...(typeof name === 'string' && { 'mcp-name': headerValue(name) }),
  };
}

/** As it is, or in Base64 where HTTP would not carry it unchanged (Streamable HTTP, "Value Encoding"). */
export function headerValue(value: string): string {
  const isPlain = /^[\x21-\x7e]([\t\x20-\x7e]*[\x21-\x7e])?$/.test(value);
  if (isPlain && !(value.startsWith('=?base64?') && value.endsWith('?='))) return value;
  return `=?base64?${Buffer.from(value).toString('base64')}?=`;
}
