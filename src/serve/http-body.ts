import { ErrorCode } from '../errors.ts';
import { isDeeperThan } from '../wire/depth.ts';
import { refuse } from './http-answers.ts';
import type { CheckedHttpOptions } from './http-options.ts';
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

/** Reads a body: one JSON-RPC message, of a size and depth that can be given to an SDK. */
export async function readMessage(
  request: Request,
  { maxBodyBytes, maxDepth }: Pick<CheckedHttpOptions['limits'], 'maxBodyBytes' | 'maxDepth'>,
): Promise<Record<string, unknown> | Response> {
  let body: string | undefined;
  try {
    body = await readText(request, maxBodyBytes);
  } catch {
    // Its client has gone, and hears nothing of this.
    return refuse(400, { code: ErrorCode.parseError, message: 'The body has not arrived whole' });
  }
  if (body === undefined) return refuse(413, { message: `The body is larger than ${maxBodyBytes} bytes` });
  let message: unknown;
  try {
    message = JSON.parse(body);
  } catch (error) {
    const problem = `The body is not JSON: ${(error as Error).message}`;
    return refuse(400, { code: ErrorCode.parseError, message: problem });
  }
  // Each level takes two characters: most bodies are too short to be looked at.
  const isTooDeep = body.length > 2 * maxDepth && isDeeperThan(message, maxDepth);
  const problem = isTooDeep ? `nested deeper than ${maxDepth}` : problemOf(message);
  if (problem === undefined) return message as Record<string, unknown>;
  return refuse(400, { code: ErrorCode.invalidRequest, message: problem, id: idOf(message) });
}

/** Undefined where there is more than this; it is not read on. */
async function readText(request: Request, maxBytes: number): Promise<string | undefined> {
  const length = request.headers.get('content-length');
  // Node sees to it that a body has the length it says.
  if (length !== null) return Number(length) > maxBytes ? undefined : request.text();
  // Hono's own limit makes a copy of the request, which @hono/node-server's cannot be made of.
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of request.body ?? []) {
    size += chunk.length;
    if (size > maxBytes) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}
