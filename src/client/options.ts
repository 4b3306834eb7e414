import type { ClientCapabilities, Progress } from '@modelcontextprotocol/sdk/types.js';
import type { AnswerOptions } from './answers.ts';
import type { ProtocolRevision } from './wire.ts';

export interface ConnectOptions extends AnswerOptions {
  /**
   * The generation of the protocol to speak: `2025-11-25` (and what is older), `2026-07-28`, or `auto`:
   * 2025-11-25 with a server that speaks it, 2026-07-28 with one that speaks nothing else. Default `auto`.
   */
  protocol?: 'auto' | ProtocolRevision;
  /** What the server is told this client is. Default: this package's name and version. */
  name?: string;
  version?: string;
  /**
   * Declared beside those that `onElicit` and `onSample` bring. On 2026-07-28 what only a handler can keep
   * is declared where there is one: roots never, elicitation and sampling with those two.
   */
  capabilities?: ClientCapabilities;
  /** How long the server may take to start and to answer the first requests. Default 60,000. */
  connectTimeoutMs?: number;
  /** Ends the connecting. */
  signal?: AbortSignal;
  /**
   * How long a `tasks/result` request of 2025-11-25 is left open before it is made anew. Default: 60,000 over
   * HTTP, where a stream that a proxy has cut ends no request; no limit otherwise.
   */
  resultTimeoutMs?: number;
  /** Learns of errors that concern no request, such as a lost stream of notifications. Default: nobody does. */
  onError?: (error: Error) => void;
}

export interface CallOptions {
  /** Stops the tool, and rejects with the signal's reason. */
  signal?: AbortSignal;
  /** Called with each progress notification. */
  onProgress?: (progress: Progress) => void;
  /**
   * Makes a call that is repeated with the same key and arguments the same task, so that it runs once; by
   * mcp-taskpool servers only.
   */
  idempotencyKey?: string;
}

export interface CallToolOptions extends CallOptions {
  /** How long the result may take. Default: no limit. */
  timeoutMs?: number;
}

export interface StartTaskOptions extends CallOptions {
  /**
   * How long the server is asked to keep the task from its creation, in milliseconds; it may decide
   * otherwise. On 2026-07-28 nobody asks: the server alone decides.
   */
  ttl?: number;
}
