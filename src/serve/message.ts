import type { RequestId } from '@modelcontextprotocol/sdk/types.js';

/** Why this is no message; what a message must have besides is its receiver's affair. */
export function problemOf(message: unknown): string | undefined {
  if (typeof message !== 'object' || message === null) return 'not a JSON-RPC message: expected an object';
  if (Array.isArray(message)) return 'JSON-RPC batches are not part of this protocol';
  const { jsonrpc, id, method, result, error } = message as Record<string, unknown>;
  if (jsonrpc !== '2.0') return 'not a JSON-RPC message: `jsonrpc` must be "2.0"';
  if (id !== undefined && idOf(message) === undefined) return '`id` must be a string or a number';
  const isMessage = typeof method === 'string' || (id !== undefined && (result ?? error) !== undefined);
  return isMessage ? undefined : 'not a JSON-RPC message: it has no `method`, `result` or `error`';
}

export function idOf(message: unknown): RequestId | undefined {
  const id = (message as { id?: unknown } | null)?.id;
  return typeof id === 'string' || typeof id === 'number' ? id : undefined;
}
