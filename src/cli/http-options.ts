import { InvalidArgumentError, type Command } from 'commander';
import { OptionError } from '../errors.ts';
import { checkHttpOptions, type HttpOptions } from '../serve/http-options.ts';
import { count, gather } from './values.ts';

export interface HttpFlags {
  http?: { host?: string; port: number };
  publicUrl?: string;
  allowedHost: string[];
  allowedOrigin: string[];
  tokenFile?: string;
  jwks?: string;
  issuer?: string;
  audience: string[];
  scope: string[];
  rateLimit?: number;
}

/** What the options are called here. */
const FLAGS: Readonly<Record<string, string>> = {
  host: '--http',
  port: '--http',
  publicUrl: '--public-url',
  allowedHosts: '--allowed-host',
  allowedOrigins: '--allowed-origin',
  tokenFile: '--token-file',
  scopes: '--scope',
  'jwt.jwks': '--jwks',
  'jwt.issuer': '--issuer',
  'jwt.audience': '--audience',
};

const ONLY_HTTP = [
  'publicUrl',
  'allowedHost',
  'allowedOrigin',
  'tokenFile',
  'jwks',
  'issuer',
  'audience',
  'scope',
  'rateLimit',
] as const satisfies readonly (keyof HttpFlags)[];

export function addHttpOptions(command: Command): Command {
  return command
    .option(
      '--http <[host:]port>',
      'serve over Streamable HTTP in place of stdio; on 127.0.0.1 unless there is a host, any but loopback needs tokens',
      address,
    )
    .option('--token-file <file>', 'takes the bearer tokens of a file of `token name` lines')
    .option('--jwks <url|file>', "takes access tokens (JWT) signed with the issuer's keys, which are here")
    .option('--issuer <url>', 'the authorization server that issues them')
    .option(
      '--audience <name>',
      'whom they are issued for; may be repeated (default: --public-url)',
      gather,
      [],
    )
    .option('--scope <name>', 'a scope that a token must have; may be repeated', gather, [])
    .option('--public-url <url>', 'the endpoint as clients reach it, where a proxy stands before it')
    .option(
      '--allowed-host <name>',
      'a Host header that is taken beside the address; may be repeated',
      gather,
      [],
    )
    .option('--allowed-origin <origin>', 'an Origin that browsers may call from; may be repeated', gather, [])
    .option('--rate-limit <n>', 'requests a second that each owner may make (default: 1000)', count);
}

/** @throws {OptionError} in the words of the command line; undefined where it is not HTTP that is served */
export function httpOptionsOf(flags: HttpFlags): HttpOptions | undefined {
  const { http, publicUrl, allowedHost, allowedOrigin, tokenFile, jwks, issuer, audience, scope, rateLimit } =
    flags;
  if (http === undefined) {
    const first = ONLY_HTTP.find((name) => flags[name] !== undefined && flags[name].toString() !== '');
    if (first !== undefined) {
      const flag = first.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
      throw new OptionError(`--${flag}: needs --http`);
    }
    return undefined;
  }
  if (jwks === undefined && (issuer !== undefined || audience.length > 0))
    throw new OptionError(`${issuer === undefined ? '--audience' : '--issuer'}: needs --jwks`);
  if (jwks !== undefined && issuer === undefined) throw new OptionError('--jwks: needs --issuer');
  const jwt = jwks === undefined ? undefined : { jwks, issuer: issuer! };
  const options: HttpOptions = {
    ...http,
    ...(publicUrl !== undefined && { publicUrl }),
    allowedHosts: allowedHost,
    allowedOrigins: allowedOrigin,
    auth: {
      ...(tokenFile !== undefined && { tokenFile }),
      ...(jwt !== undefined && { jwt: audience.length === 0 ? jwt : { ...jwt, audience } }),
      scopes: scope,
    },
    ...(rateLimit !== undefined && { limits: { requestsPerSecond: rateLimit } }),
  };
  try {
    checkHttpOptions(options);
  } catch (error) {
    throw inFlags(error);
  }
  return options;
}

/** An error that calls an option by its flag. */
export function inFlags(error: unknown): unknown {
  if (!(error instanceof OptionError)) return error;
  const [name = '', ...rest] = error.message.split(': ');
  return new OptionError([FLAGS[name] ?? name, ...rest].join(': '));
}

function address(value: string): { host?: string; port: number } {
  const match = /^(?:(?:\[([\da-fA-F:.]+)\]|([^\s:[\]]+)):)?(\d{1,5})$/.exec(value);
  const port = Number(match?.[3]);
  if (match === null || port > 65_535)
    throw new InvalidArgumentError('Expected a port, or host:port, such as 8080 or [::1]:8080.');
  const host = match[1] ?? match[2];
  return { port, ...(host !== undefined && { host }) };
}
