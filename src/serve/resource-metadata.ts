import type { CheckedHttpOptions } from './http-options.ts';

/** RFC 9728, 3. */
export const WELL_KNOWN = '/.well-known/oauth-protected-resource';
export const ENDPOINT = '/mcp';

/** Where clients find what tokens to get (RFC 9728, 3.1): before the path of the resource. */
export function metadataUrl(request: Request, publicUrl: URL | undefined): string {
  const { origin, pathname } = resourceUrl(request, publicUrl);
  return `${origin}${WELL_KNOWN}${pathname}`;
}

/** What tokens to get, and where (RFC 9728, 2; 2025-11-25, authorization, "Authorization Server Location"). */
export function resourceMetadata(
  request: Request,
  { auth, publicUrl }: Pick<CheckedHttpOptions, 'auth' | 'publicUrl'>,
): Record<string, unknown> | undefined {
  if (auth?.jwt === undefined) return undefined;
  const { scopes = [] } = auth;
  return {
    resource: resourceUrl(request, publicUrl).href,
    authorization_servers: [auth.jwt.issuer],
    ...(scopes.length > 0 && { scopes_supported: scopes }),
    bearer_methods_supported: ['header'],
  };
}

/** As who asks has it, where nothing else is known: its Host header has been checked. */
function resourceUrl(request: Request, publicUrl: URL | undefined): URL {
  return publicUrl ?? new URL(ENDPOINT, request.url);
}
