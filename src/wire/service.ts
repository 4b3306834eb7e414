import { ErrorCode, ProtocolError } from '../errors.ts';
import type { Engine } from '../tasks/engine.ts';
import type { Log } from '../tasks/log.ts';
import type { LookUps } from './look-ups.ts';
import { IDEMPOTENCY_META } from './meta.ts';
import type { Caller } from './owner.ts';
import type { Toolbox } from './tools.ts';

/** What all the connections of a server share, whichever revision they speak. */
export interface Service {
  readonly engine: Engine;
  readonly toolbox: Toolbox;
  readonly lookUps: LookUps;
  readonly log: Log;
  /** The tasks that a caller sees are theirs. */
  readonly ownerOf: (caller: Caller) => string;
  /** Tasks in one page of `tasks/list`. */
  readonly pageSize: number;
  /** What clients are told this server is. */
  readonly info: { readonly name: string; readonly version: string };
  readonly instructions: string | undefined;
}

const LONGEST_KEY = 256;

/**
 * What tells a repeated call from another one; undefined where the client does not care.
 * @throws {ProtocolError} when it is no key
 */
export function idempotencyKeyOf(meta: Readonly<Record<string, unknown>> | undefined): string | undefined {
  const key = meta?.[IDEMPOTENCY_META];
  if (key === undefined || (typeof key === 'string' && key.length >= 1 && key.length <= LONGEST_KEY))
    return key;
  const message = `params._meta.${IDEMPOTENCY_META}: expected a string of 1 to ${LONGEST_KEY} characters`;
  throw new ProtocolError(ErrorCode.invalidParams, message);
}
