import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { exportJWK, generateKeyPair, SignJWT, type CryptoKey, type JSONWebKeySet } from 'jose';
import { onTestFinished } from 'vitest';

/** An issuer of access tokens with a key of its own, which it serves. */
export interface AuthorizationServer {
  readonly issuer: string;
  readonly jwks: JSONWebKeySet;
  readonly jwksUrl: string;
  /** How often the keys have been fetched. */
  readonly fetched: number;
  /** What the keys are answered with. */
  status: number;
  sign(claims: Record<string, unknown>, options?: { key?: CryptoKey; expires?: string }): Promise<string>;
}

export const AUDIENCE = 'https://tools.example.com/mcp';

export async function startAuthorizationServer(): Promise<AuthorizationServer> {
  const { publicKey, privateKey } = await generateKeyPair('ES256');
  const jwks = { keys: [{ ...(await exportJWK(publicKey)), kid: 'one', alg: 'ES256', use: 'sig' }] };
  let fetched = 0;
  const server = {
    issuer: 'https://issuer.example.com',
    jwks,
    jwksUrl: '',
    status: 200,
    get fetched() {
      return fetched;
    },
    sign: (claims: Record<string, unknown>, { key = privateKey, expires = '5 minutes' } = {}) =>
      new SignJWT({
        iss: 'https://issuer.example.com',
        aud: AUDIENCE,
        scope: 'tools',
        sub: 'ann',
        client_id: 'app',
        ...claims,
      })
        .setProtectedHeader({ alg: 'ES256', kid: 'one', typ: 'at+jwt' })
        .setIssuedAt()
        .setExpirationTime(expires)
        .sign(key),
  };
  const http = createServer((_, response) => {
    fetched++;
    response.writeHead(server.status, { 'content-type': 'application/json' }).end(JSON.stringify(jwks));
  });
  http.listen(0, '127.0.0.1');
  await once(http, 'listening');
  onTestFinished(async () => {
    http.closeAllConnections();
    http.close();
    await once(http, 'close');
  });
  server.jwksUrl = `http://127.0.0.1:${(http.address() as AddressInfo).port}/keys`;
  return server;
}
