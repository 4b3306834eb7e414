import type { RequestId } from '@modelcontextprotocol/sdk/types.js';
import { ErrorCode } from '../errors.ts';

/** What a request is refused with beside its status. */
export interface Refusal {
  /** The JSON-RPC error's code. Default: refused. */
  code?: number;
  message: string;
  /** Of the request; without where it is not known (2025-11-25, schema, JSONRPCErrorResponse). */
  id?: RequestId | undefined;
  headers?: Record<string, string>;
}

/** An HTTP error with a JSON-RPC error response for its body (2025-11-25, transports, "Sending Messages" 4). */
export function refuse(
  status: number,
  { code = ErrorCode.refused, message, id, headers }: Refusal,
): Response {
  const error = { jsonrpc: '2.0', ...(id !== undefined && { id }), error: { code, message } };
  return new Response(JSON.stringify(error), {
    status,
    headers: { 'content-type': 'application/json', ...headers },
  });
}

/** The SDK's code, and so what its clients know. */
const SESSION_NOT_FOUND = -32_001;

/** One answer for a session that never was, one that has ended, and one of somebody else. */
export function unknownSession(): Response {
  return refuse(404, { code: SESSION_NOT_FOUND, message: 'Session not found' });
}
