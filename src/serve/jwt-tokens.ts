import { readFile } from 'node:fs/promises';
import { createLocalJWKSet, createRemoteJWKSet, errors, jwtVerify, type JWTPayload } from 'jose';
import { OptionError } from '../errors.ts';
import type { JwtOptions, VerifyToken } from './http-options.ts';
import { isLoopback } from './http-hosts.ts';

/** How far the clocks of the authorization server and of this machine may be apart. */
const CLOCK_TOLERANCE_S = 5;
/** What says that the keys could not be had, rather than that the token is not valid. */
const KEY_FAULTS = new Set(['ERR_JWKS_TIMEOUT', 'ERR_JWKS_INVALID', 'ERR_JOSE_GENERIC']);

/**
 * Verifies access tokens that are JSON Web Tokens: their signature by the issuer's keys, issuer, audience and time.
 * @throws {OptionError} when the keys are in a file that is no JSON Web Key Set, or at a URL that anyone could answer
 */
export async function jwtTokens({ jwks, issuer, audience }: JwtOptions): Promise<VerifyToken> {
  const keys = await keySet(jwks);
  const options = {
    issuer,
    audience: typeof audience === 'string' ? audience : [...(audience ?? [])],
    clockTolerance: CLOCK_TOLERANCE_S,
    requiredClaims: ['exp'],
  };
  return async (token) => {
    try {
      const { payload } = await jwtVerify(token, keys, options);
      return authInfoOf(token, payload);
    } catch (error) {
      if (error instanceof errors.JOSEError && !KEY_FAULTS.has(error.code)) return undefined;
      throw error;
    }
  };
}

async function keySet(jwks: string | URL) {
  const url = typeof jwks === 'string' ? (/^https?:/i.test(jwks) ? new URL(jwks) : undefined) : jwks;
  if (url !== undefined && url.protocol !== 'file:') {
    const { protocol, hostname } = url;
    if (protocol !== 'https:' && !isLoopback(hostname.replace(/^\[|\]$/g, ''))) {
      throw new OptionError(`jwt.jwks: keys from elsewhere need https, got ${url.href}`);
    }
    return createRemoteJWKSet(url);
  }
  const path = url ?? jwks;
  try {
    return createLocalJWKSet(JSON.parse(await readFile(path, 'utf8')));
  } catch (error) {
    throw new OptionError(`jwt.jwks: ${String(path)}: ${(error as Error).message}`);
  }
}

/** Undefined where it says neither whose it is nor whom it was issued to: all such would be one owner. */
function authInfoOf(token: string, payload: JWTPayload) {
  const { iss, sub, exp } = payload;
  // RFC 9068; OpenID Connect.
  const client = payload['client_id'] ?? payload['azp'];
  if (typeof client !== 'string' && typeof sub !== 'string') return undefined;
  return {
    token,
    clientId: typeof client === 'string' ? client : sub!,
    scopes: scopesOf(payload),
    ...(exp !== undefined && { expiresAt: exp }),
    extra: { iss, ...(sub !== undefined && { sub }) },
  };
}

/** RFC 9068 has `scope`; others have `scp`, some of them as a list. */
function scopesOf({ scope, scp }: JWTPayload): string[] {
  const scopes = scope ?? scp;
  if (Array.isArray(scopes)) return scopes.filter((value) => typeof value === 'string');
  return typeof scopes === 'string' ? scopes.split(' ').filter((value) => value !== '') : [];
}
