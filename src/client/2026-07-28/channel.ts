import type {
  JSONRPCErrorResponse,
  JSONRPCMessage,
  JSONRPCNotification,
  JSONRPCRequest,
  JSONRPCResultResponse,
  RequestId,
} from '@modelcontextprotocol/sdk/types.js';

export type Response = JSONRPCResultResponse | JSONRPCErrorResponse;

/** What comes over a channel besides the responses. */
export interface Listener {
  /** @param requestId the request on whose stream it came, where each has its own */
  notified(notification: JSONRPCNotification, requestId: RequestId | undefined): void;
  /** The other end has closed the channel. */
  closed(): void;
  /** Something went wrong that concerns no request. */
  failed(error: Error): void;
}

export interface SendOptions {
  /** Takes the request back, as the transport has it (cancellation, "Transport-Specific Cancellation"). */
  signal: AbortSignal;
  /** For a transport that has headers. */
  headers: Readonly<Record<string, string>> | undefined;
  /** Gets a response that crossed with the request's being taken back. */
  late: ((response: Response) => void) | undefined;
}

/** Carries requests to a server, one transport each. */
export interface Channel {
  /** Whether arguments go into headers, too (Streamable HTTP, "Custom Headers from Tool Parameters"). */
  readonly hasHeaders: boolean;
  open(listener: Listener): Promise<void>;
  /**
   * Resolves with the response.
   * @throws the signal's reason, and what the transport throws; isPassing() tells whether to ask again may help
   */
  send(request: JSONRPCRequest, options: SendOptions): Promise<Response>;
  close(): Promise<void>;
}

/** What a server asks comes with its answers (multi round-trip requests), never by itself. */
export function forbiddenRequest(message: JSONRPCMessage): Error {
  const { method } = message as JSONRPCRequest;
  return new Error(`The server sent a request of its own, ${method}, which 2026-07-28 does not allow`);
}
