import { claimsRevision } from '../wire/revision.ts';

/** The first revision without sessions. Revisions are dates: they compare as strings do. */
const FIRST_MODERN = '2026-07-28';

/**
 * Whether a message that was posted is of revision 2026-07-28 or later. It decides as `isLegacyRequest` of that
 * revision's SDK does, without loading it for those who do not speak the revision.
 */
export async function isModern(request: Request, message: Record<string, unknown>): Promise<boolean> {
  const { method, params } = message;
  // A response answers a request of the server's, which modern servers do not make.
  if (method === undefined) return false;
  const headerIsModern = namesModern(request.headers.get('mcp-protocol-version'));
  const claims = claimsRevision(params);
  if (method !== 'initialize' || !claims || headerIsModern) return claims || headerIsModern;
  // The handshake of the older revisions, unless all that the later ones want is there.
  const { isLegacyRequest } = await import('@modelcontextprotocol/server');
  return !(await isLegacyRequest(request, message));
}

/** Whether an MCP-Protocol-Version header names a revision without sessions. */
export function namesModern(version: string | null | undefined): boolean {
  return (version?.trim() ?? '') >= FIRST_MODERN;
}
