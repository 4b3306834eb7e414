import { ErrorCode } from '../errors.ts';
import { isDeeperThan } from '../wire/depth.ts';
import { refuse } from './http-answers.ts';
import { idOf, problemOf } from './message.ts';

/** Why a POST is refused before its body is read. */
export function headersRefusal(request: Request): Response | undefined {
  const [type = ''] = (request.headers.get('content-type') ?? '').split(';');
  if (type.trim().toLowerCase() !== 'application/json') {
    return refuse(415, { message: 'Content-Type must be application/json' });
  }
  // 2025-11-25, transports, "Sending Messages" 2; 2026-07-28 has the same.
  const accept = (request.headers.get('accept') ?? '').toLowerCase();
  if (!accept.includes('application/json') || !accept.includes('text/event-stream')) {
    return refuse(406, { message: 'Accept must list both application/json and text/event-stream' });
  }
  return undefined;
}

export function tooLarge(maxBytes: number): Response {
  return refuse(413, { message: `The body is larger than ${maxBytes} bytes` });
}

/** Reads a body whose size has been checked: one JSON-RPC message, that no SDK has seen yet. */
export async function readMessage(
  request: Request,
  maxDepth: number,
): Promise<Record<string, unknown> | Response> {
  const body = await request.text();
  let message: unknown;
  try {
    message = JSON.parse(body);
  } catch (error) {
    const problem = `The body is not JSON: ${(error as Error).message}`;
    return refuse(400, { code: ErrorCode.parseError, message: problem });
  }
  const problem = isDeeperThan(message, maxDepth) ? `nested deeper than ${maxDepth}` : problemOf(message);
  if (problem === undefined) return message as Record<string, unknown>;
  return refuse(400, { code: ErrorCode.invalidRequest, message: problem, id: idOf(message) });
}
