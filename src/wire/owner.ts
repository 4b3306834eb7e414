import type { AuthInfo } from '@modelcontextprotocol/sdk/server/auth/types.js';

/** What is known of who makes a request. */
export interface Caller {
  /** What its access token says. */
  authInfo?: AuthInfo | undefined;
  /** Its HTTP session. */
  sessionId?: string | undefined;
}

/** Whose tasks a request is about: the issuer, subject and client of its access token, else its session. */
export function defaultOwner({ authInfo, sessionId }: Caller): string {
  if (authInfo !== undefined) {
    // The issuer and the subject of a token that has them: a client may have many users.
    const { iss, sub } = authInfo.extra ?? {};
    return `token:${JSON.stringify([iss ?? null, sub ?? null, authInfo.clientId])}`;
  }
  return sessionId === undefined ? 'local' : `session:${sessionId}`;
}
