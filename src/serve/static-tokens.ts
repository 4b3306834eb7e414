import { createHash, timingSafeEqual } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import { OptionError } from '../errors.ts';
import type { Log } from '../tasks/log.ts';
import type { VerifyToken } from './http-options.ts';

/** A token that is shorter can be guessed. */
const SHORTEST = 16;
/** RFC 6750, "b64token": what a header can carry. */
const TOKEN = /^[\w.~+/-]+=*$/;
const OTHERS_MAY_READ = 0o044;

/**
 * Reads a file of `token name` lines, and verifies tokens by it.
 * @param scopes what its tokens are good for
 * @throws {OptionError} when the file cannot be read, or a line is no such line
 */
export async function staticTokens(path: string, scopes: readonly string[], log: Log): Promise<VerifyToken> {
  const tokens = parse(path, await read(path, log));
  return async (token) => {
    const wanted = digest(token);
    // Each is compared, in a time that does not depend on what it is.
    const [found] = tokens.filter((known) => timingSafeEqual(known.digest, wanted));
    return found && { token, clientId: found.name, scopes: [...scopes] };
  };
}

async function read(path: string, log: Log): Promise<string> {
  try {
    const { mode } = await stat(path);
    if (process.platform !== 'win32' && (mode & OTHERS_MAY_READ) !== 0) {
      log.warn({ path }, `${path}: others can read these tokens; chmod 600 makes them the server's alone`);
    }
    return await readFile(path, 'utf8');
  } catch (error) {
    throw new OptionError(`tokenFile: ${(error as Error).message}`);
  }
}

function parse(path: string, content: string): { digest: Buffer; name: string }[] {
  const tokens: { digest: Buffer; name: string }[] = [];
  const seen = new Set<string>();
  for (const [index, line] of content.split(/\r?\n/).entries()) {
    const trimmed = line.trim();
    if (trimmed === '' || trimmed.startsWith('#')) continue;
    // Never the token itself: this is printed.
    const wrong = (problem: string) => new OptionError(`${path}, line ${index + 1}: ${problem}`);
    const [, token = '', name] = /^(\S+)\s+(\S.*)$/.exec(trimmed) ?? [];
    if (name === undefined) throw wrong('expected a token, a space and a name');
    if (!TOKEN.test(token)) throw wrong('the token has characters that an Authorization header cannot carry');
    if (token.length < SHORTEST) throw wrong(`the token is shorter than ${SHORTEST} characters`);
    if (seen.has(token)) throw wrong('the token is there twice');
    seen.add(token);
    tokens.push({ digest: digest(token), name });
  }
  if (tokens.length === 0) throw new OptionError(`${path}: there is no token in it`);
  return tokens;
}

function digest(token: string): Buffer {
  return createHash('sha256').update(token).digest();
}
