import { mergeCapabilities } from '@modelcontextprotocol/sdk/shared/protocol.js';
import { ErrorCode, McpError } from '@modelcontextprotocol/sdk/types.js';
import { VERSION } from '../../version.ts';
import { MAX_DELAY_MS, onAbort } from '../abort.ts';
import { answerCapabilities } from '../answers.ts';
import { ConnectionClosedError, RequestTimeoutError, fromMcpError } from '../errors.ts';
import type { ConnectOptions } from '../options.ts';
import type { Route } from '../target.ts';
import type { Wire } from '../wire.ts';
import { installAnswers } from './answers.ts';
import { Connection } from './connection.ts';
import { InitializeRefused, refusalOf } from './refusal.ts';
import { SdkClient } from './sdk-client.ts';
import { LegacyWire } from './wire.ts';

/** How long a `tasks/result` request stays open over HTTP, by default. */
const RESULT_TIMEOUT_MS = 60_000;

/**
 * Initializes a connection. If that fails, a child that was started is ended first, except where the refusal
 * is returned: then the transport is as it was, but started.
 * @param mayBeModern whether a refusal that a server of 2026-07-28 would give is returned, and not thrown
 */
export async function openLegacy(
  route: Route,
  options: ConnectOptions,
  timeoutMs: number,
  mayBeModern: boolean,
): Promise<Wire | InitializeRefused> {
  const { name = 'mcp-taskpool', version = VERSION, signal } = options;
  const capabilities = mergeCapabilities(answerCapabilities(options), options.capabilities ?? {});
  const sdk = new SdkClient({ name, version }, { capabilities });
  installAnswers(sdk, options);
  const resultTimeoutMs = options.resultTimeoutMs ?? (route.lossy ? RESULT_TIMEOUT_MS : undefined);
  const connection = new Connection(sdk, resultTimeoutMs, options.onError ?? (() => {}));
  const wire = new LegacyWire(sdk, connection, route);
  const close = () => {
    sdk.settled();
    return wire.close().catch(() => {});
  };
  const { transport } = route;
  const { onmessage, onerror, onclose } = transport;
  const unlink = onAbort(signal, () => void close());
  try {
    await sdk.connect(transport, { timeout: Math.min(timeoutMs, MAX_DELAY_MS) });
    return wire;
  } catch (error) {
    const refusal = mayBeModern && !signal?.aborted ? refusalOf(error) : undefined;
    if (refusal !== undefined) {
      Object.assign(transport, { onmessage, onerror, onclose });
      return new InitializeRefused(explain(error, timeoutMs), refusal.isCertain);
    }
    await close();
    throw signal?.aborted ? signal.reason : explain(error, timeoutMs);
  } finally {
    sdk.settled();
    unlink();
  }
}

/** Why there is no connection, in our words. */
function explain(error: unknown, timeoutMs: number): unknown {
  if (!(error instanceof McpError)) return error;
  if (error.code === (ErrorCode.ConnectionClosed as number)) {
    return new ConnectionClosedError('The server closed the connection before it answered initialize');
  }
  if (error.code === (ErrorCode.RequestTimeout as number)) {
    return new RequestTimeoutError('initialize', timeoutMs);
  }
  return fromMcpError(error);
}
