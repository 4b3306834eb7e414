import { StreamableHTTPError } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { JSONRPCErrorResponseSchema, McpError } from '@modelcontextprotocol/sdk/types.js';

/** That a server refused `initialize` in a way that a server of 2026-07-28 alone would. */
export class InitializeRefused {
  /** What to throw if it turns out that it does not speak that revision. */
  readonly error: unknown;
  /** Whether there is no doubt: it named 2026-07-28 as what it speaks. */
  readonly isCertain: boolean;

  constructor(error: unknown, isCertain: boolean) {
    this.error = error;
    this.isCertain = isCertain;
  }
}

/** UnsupportedProtocolVersion (2026-07-28, basic, "Error Codes"). */
const UNSUPPORTED_VERSION = -32022;
/**
 * What a server of 2026-07-28 may say to `initialize`, which it does not know, and which has neither the
 * metadata nor the headers of that revision: no such method, invalid parameters or request, HeaderMismatch,
 * MissingRequiredClientCapability. A server of 2025-11-25 may say most of it, too.
 */
const POSSIBLE: ReadonlySet<number> = new Set([-32601, -32602, -32600, -32020, -32021]);

/** Whether what `initialize` failed with leaves it open that the server speaks 2026-07-28. */
export function refusalOf(error: unknown): { isCertain: boolean } | undefined {
  const answer = error instanceof StreamableHTTPError ? errorInBody(error) : error;
  if (!(answer instanceof McpError)) return undefined;
  if (answer.code !== UNSUPPORTED_VERSION)
    return POSSIBLE.has(answer.code) ? { isCertain: false } : undefined;
  const supported = (answer.data as { supported?: unknown } | undefined)?.supported;
  if (!Array.isArray(supported)) return { isCertain: false };
  return supported.includes('2026-07-28') ? { isCertain: true } : undefined;
}

/** The JSON-RPC error in an HTTP answer such as 400, which the SDK has in its message only. */
function errorInBody({ message }: StreamableHTTPError): McpError | undefined {
  try {
    const body: unknown = JSON.parse(message.slice(message.indexOf('{')));
    // An answer to what could not be taken for a request has `null` for an id.
    const { error } = JSONRPCErrorResponseSchema.parse({ ...(body as object), id: undefined });
    return new McpError(error.code, error.message, error.data);
  } catch {
    return undefined;
  }
}
