import type { AuthInfo } from '@modelcontextprotocol/sdk/server/auth/types.js';
import { OptionError } from '../errors.ts';
import { SILENT, type Log } from '../tasks/log.ts';
import { isLoopback, isWildcard } from './http-hosts.ts';

export interface HttpOptions {
  /** The address or name to listen on. Anything but loopback needs `auth`. Default `127.0.0.1`. */
  host?: string;
  /** The port to listen on; 0 picks a free one. Default 0. */
  port?: number;
  /**
   * The endpoint as clients reach it, where a proxy stands before it, such as `https://example.com/mcp`. It is
   * what the protected-resource metadata names, and its host and origin are allowed. Default: as the request has it.
   */
  publicUrl?: string | URL;
  /**
   * Values of the Host header, as `name` or `name:port`, that are allowed beside the address that is listened on. On
   * loopback `localhost` and the loopback addresses are; where all addresses are listened on, every address is.
   */
  allowedHosts?: readonly string[];
  /**
   * Values of the Origin header that are allowed, and may read answers across origins (CORS), as
   * `https://app.example.com`. On loopback those of `localhost` and the loopback addresses are.
   */
  allowedOrigins?: readonly string[];
  /** How clients say who they are. Default: they do not, and each session is an owner of its own. */
  auth?: HttpAuth;
  limits?: HttpLimits;
  /** Where faults are logged; a pino logger fits. Default: nowhere. */
  log?: Log;
}

/** Bearer tokens; any of the kinds that are given will do. */
export interface HttpAuth {
  /** A file of `token name` lines; `#` begins a comment. What has the same name is the same owner. */
  tokenFile?: string;
  /** Access tokens that are JSON Web Tokens (RFC 9068). */
  jwt?: JwtOptions;
  /**
   * Verifies tokens of any other kind. Gives what a token says, `extra.iss` and `extra.sub` among it, and undefined
   * for one that is not valid; what it throws is answered with 503.
   */
  verifyToken?: VerifyToken;
  /** Scopes that a token must have. */
  scopes?: readonly string[];
}

export type VerifyToken = (token: string) => Promise<AuthInfo | undefined>;

export interface JwtOptions {
  /** Where the issuer's keys are: the URL of a JSON Web Key Set (RFC 7517), or a file. */
  jwks: string | URL;
  /** The authorization server: the `iss` of the tokens, and what the metadata tells clients. */
  issuer: string;
  /** What the `aud` of the tokens must have. Default: `publicUrl`. */
  audience?: string | readonly string[];
}

/** What clients can take from the server. */
export interface HttpLimits {
  /** The body of a request, in bytes; more is 413. Default 4 MiB. */
  maxBodyBytes?: number;
  /** How deep the JSON of a request may be nested; more is 400. Default 512. */
  maxDepth?: number;
  /** How long a request's headers may take. Default 15,000. */
  headersTimeoutMs?: number;
  /** How long a request may take to arrive whole. Default 60,000. */
  requestTimeoutMs?: number;
  /** How long a connection is kept open without a request. Default 65,000. */
  idleTimeoutMs?: number;
  /** Requests a second of one owner, as many of which may come at once; more are 429. Default 1,000. */
  requestsPerSecond?: number;
  /** Requests and streams of one owner that are open at once; more are 429. Default 1,000. */
  maxStreamsPerOwner?: number;
  /** Sessions of all owners; more are 503. Default 1,000. */
  maxSessions?: number;
  /** Sessions of one owner, where it is known by a token; more are 429. Default 100. */
  maxSessionsPerOwner?: number;
  /** How long a session is kept that has nothing open. Default 30 minutes. */
  sessionIdleMs?: number;
  /** Messages of a session that are kept for a client that resumes a stream. Default 1,000. */
  maxEvents?: number;
  /** The same, in bytes of JSON; a message that is larger is not kept. Default 1 MiB. */
  maxEventBytes?: number;
}

const MIB = 2 ** 20;

const DEFAULTS: Required<HttpLimits> = {
  maxBodyBytes: 4 * MIB,
  maxDepth: 512,
  headersTimeoutMs: 15_000,
  requestTimeoutMs: 60_000,
  idleTimeoutMs: 65_000,
  requestsPerSecond: 1000,
  maxStreamsPerOwner: 1000,
  maxSessions: 1000,
  maxSessionsPerOwner: 100,
  sessionIdleMs: 30 * 60_000,
  maxEvents: 1000,
  maxEventBytes: MIB,
};

/** The options with their defaults. */
export interface CheckedHttpOptions {
  readonly host: string;
  readonly port: number;
  readonly publicUrl: URL | undefined;
  readonly allowedHosts: readonly string[];
  readonly allowedOrigins: readonly string[];
  readonly auth: HttpAuth | undefined;
  readonly limits: Required<HttpLimits>;
  readonly log: Log;
}

/** @throws {OptionError} when an option has a value it cannot have, or a bind that others can reach lacks `auth` */
export function checkHttpOptions(options: HttpOptions): CheckedHttpOptions {
  const { host = '127.0.0.1', port = 0, auth, log = SILENT } = options;
  if (!Number.isInteger(port) || port < 0 || port > 65_535) {
    throw new OptionError(`port: expected a whole number from 0 to 65535, got ${port}`);
  }
  const limits = checkLimits(options.limits ?? {});
  const authenticates = auth?.tokenFile ?? auth?.jwt ?? auth?.verifyToken;
  if (authenticates === undefined && (auth?.scopes ?? []).length > 0) {
    throw new OptionError('scopes: there is no authentication whose tokens could have them');
  }
  if (authenticates === undefined && !isLoopback(host)) {
    const what = isWildcard(host) ? `${host} is every address of this machine` : `${host} is not loopback`;
    throw new OptionError(
      `host: ${what}, and others must not reach the tools without authentication by tokens`,
    );
  }
  const publicUrl = options.publicUrl === undefined ? undefined : checkPublicUrl(options.publicUrl);
  return {
    host,
    port,
    publicUrl,
    allowedHosts: (options.allowedHosts ?? []).map(checkHost),
    allowedOrigins: (options.allowedOrigins ?? []).map(checkOrigin),
    auth: authenticates === undefined ? undefined : checkAuth(auth!, publicUrl),
    limits,
    log,
  };
}

function checkLimits(limits: HttpLimits): Required<HttpLimits> {
  const all = { ...DEFAULTS };
  for (const key of Object.keys(DEFAULTS) as (keyof HttpLimits)[]) {
    const value = limits[key];
    if (value === undefined) continue;
    const isCount = !key.endsWith('Ms') && value !== Infinity;
    if (!(value > 0) || (isCount && !Number.isInteger(value))) {
      const wanted = key.endsWith('Ms')
        ? 'a positive number of milliseconds'
        : 'a whole number of at least 1';
      throw new OptionError(`limits.${key}: expected ${wanted}, got ${value}`);
    }
    all[key] = value;
  }
  return all;
}

/** A URL without a path is taken for the server's, and the endpoint's path is put to it. */
function checkPublicUrl(value: string | URL): URL {
  const url = httpUrl('publicUrl', value);
  if (url.pathname === '/') url.pathname = '/mcp';
  return url;
}

function checkAuth(auth: HttpAuth, publicUrl: URL | undefined): HttpAuth {
  for (const scope of auth.scopes ?? []) {
    // RFC 6749, "scope-token": it stands in a header, between quotes.
    if (!/^[\x21\x23-\x5B\x5D-\x7E]+$/.test(scope)) {
      throw new OptionError(
        `scopes: expected characters that a scope can have, got ${JSON.stringify(scope)}`,
      );
    }
  }
  const { jwt } = auth;
  if (jwt === undefined) return auth;
  httpUrl('jwt.issuer', jwt.issuer);
  const audience = jwt.audience ?? publicUrl?.href;
  if (audience === undefined || audience.length === 0) {
    throw new OptionError(
      'jwt.audience: needed, that tokens for other servers are not taken, unless there is a public URL to go by',
    );
  }
  return { ...auth, jwt: { ...jwt, audience } };
}

function checkHost(value: string): string {
  let url: URL | undefined;
  try {
    url = new URL(`http://${value}`);
  } catch {
    // Said below.
  }
  if (url === undefined || url.host !== value.toLowerCase().replace(/:80$/, '')) {
    throw new OptionError(
      `allowedHosts: expected a host, with or without a port, got ${JSON.stringify(value)}`,
    );
  }
  return value.toLowerCase();
}

function checkOrigin(value: string): string {
  const url = httpUrl('allowedOrigins', value);
  if (url.origin === value.toLowerCase() || `${url.origin}/` === value.toLowerCase()) return url.origin;
  throw new OptionError(
    `allowedOrigins: expected an origin such as https://example.com, got ${JSON.stringify(value)}`,
  );
}

function httpUrl(name: string, value: string | URL): URL {
  const wanted = 'expected an http or https URL';
  let url: URL;
  try {
    url = new URL(value);
  } catch {
    throw new OptionError(`${name}: ${wanted}, got ${JSON.stringify(value)}`);
  }
  if (url.protocol !== 'http:' && url.protocol !== 'https:') {
    throw new OptionError(`${name}: ${wanted}, got ${url.href}`);
  }
  return url;
}
