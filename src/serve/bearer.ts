import type { AuthInfo } from '@modelcontextprotocol/sdk/server/auth/types.js';
import type { Log } from '../tasks/log.ts';
import { refuse } from './http-answers.ts';
import type { CheckedHttpOptions, VerifyToken } from './http-options.ts';
import { metadataUrl } from './resource-metadata.ts';
import { staticTokens } from './static-tokens.ts';

/** RFC 6750, 2.1. */
const BEARER = /^Bearer +([\w.~+/-]+=*)$/i;

/** Who makes a request, or what it is refused with. */
export type Authenticate = (request: Request) => Promise<AuthInfo | Response>;

/**
 * Takes bearer tokens (2025-11-25, authorization, "Access Token Usage"; RFC 6750).
 * @throws {OptionError} when a file of tokens or keys is at fault
 */
export async function bearer(options: CheckedHttpOptions): Promise<Authenticate | undefined> {
  const { auth, log } = options;
  if (auth === undefined) return undefined;
  const { scopes = [] } = auth;
  const verifiers: VerifyToken[] = [];
  if (auth.tokenFile !== undefined) verifiers.push(await staticTokens(auth.tokenFile, scopes, log));
  if (auth.jwt !== undefined) {
    const { jwtTokens } = await import('./jwt-tokens.ts');
    verifiers.push(await jwtTokens(auth.jwt));
  }
  if (auth.verifyToken !== undefined) verifiers.push(unexpired(auth.verifyToken));
  const challenge = (status: number, request: Request, error?: string, message = 'Needs an access token') => {
    const parameters = {
      ...(error !== undefined && { error, error_description: message }),
      ...(scopes.length > 0 && { scope: scopes.join(' ') }),
      ...(auth.jwt !== undefined && { resource_metadata: metadataUrl(request, options.publicUrl) }),
    };
    const pairs = Object.entries(parameters).map(([name, value]) => `${name}="${value}"`);
    const header = pairs.length === 0 ? 'Bearer' : `Bearer ${pairs.join(', ')}`;
    return refuse(status, { message, headers: { 'www-authenticate': header } });
  };
  return async (request) => {
    const token = BEARER.exec(request.headers.get('authorization') ?? '')?.[1];
    if (token === undefined) return challenge(401, request);
    const authInfo = await verify(token, verifiers, log);
    if (authInfo instanceof Response) return authInfo;
    if (authInfo === undefined) {
      return challenge(401, request, 'invalid_token', 'The access token is not valid, or has expired');
    }
    if (scopes.every((scope) => authInfo.scopes.includes(scope))) return authInfo;
    return challenge(403, request, 'insufficient_scope', 'The access token lacks a scope');
  };
}

/** What the first verifier that knows the token says of it. */
async function verify(
  token: string,
  verifiers: readonly VerifyToken[],
  log: Log,
): Promise<AuthInfo | Response | undefined> {
  try {
    for (const verifyToken of verifiers) {
      const authInfo = await verifyToken(token);
      if (authInfo !== undefined) return authInfo;
    }
    return undefined;
  } catch (error) {
    log.error({ err: error }, `an access token could not be verified: ${(error as Error).message}`);
    const message = 'Access tokens cannot be verified at the moment; try again later';
    return refuse(503, { message, headers: { 'retry-after': '10' } });
  }
}

function unexpired(verifyToken: VerifyToken): VerifyToken {
  return async (token) => {
    const authInfo = await verifyToken(token);
    return (authInfo?.expiresAt ?? Infinity) * 1000 > Date.now() ? authInfo : undefined;
  };
}
