import { fetchWithinOrigin } from '@modelcontextprotocol/sdk/shared/transport.js';
import {
  JSONRPCMessageSchema,
  isJSONRPCErrorResponse,
  isJSONRPCNotification,
  isJSONRPCResultResponse,
  type JSONRPCMessage,
  type JSONRPCRequest,
} from '@modelcontextprotocol/sdk/types.js';
import { createParser } from 'eventsource-parser';
import { InvalidAnswerError } from '../errors.ts';
import type { HttpTarget } from '../target.ts';
import {
  forbiddenRequest,
  type Channel,
  type Listener,
  type Response as Answer,
  type SendOptions,
} from './channel.ts';
import { standardHeaders } from './headers.ts';

/** The server, or something on the way, answered with an HTTP status and no JSON-RPC message. */
class HttpStatusError extends Error {
  override readonly name = 'HttpStatusError';

  /** The HTTP status. */
  readonly code: number;

  constructor(code: number, statusText: string, body: string) {
    super([`HTTP ${code}`, statusText, body.slice(0, MAX_QUOTED).trim()].filter(Boolean).join(' '));
    this.code = code;
  }
}

/** How long a stream may stay open after its response. */
const DRAIN_MS = 1000;
/** How much of a body that is no answer an error quotes, in characters. */
const MAX_QUOTED = 200;

/**
 * Streamable HTTP: each request is a POST of its own, answered by a JSON body or on a stream of its own, and
 * to close that takes the request back (Streamable HTTP, "Sending Messages", "Receiving Messages").
 *
 * The transports of the SDKs will not do: those of 2025-11-25 send none of the headers, that of 2026-07-28
 * names no task in `Mcp-Name`, and lets nobody else do it.
 */
export class HttpChannel implements Channel {
  readonly hasHeaders = true;
  readonly #url: URL;
  readonly #headers: Readonly<Record<string, string>>;
  readonly #fetch = fetchWithinOrigin();
  #listener: Listener | undefined;

  constructor({ url, headers = {} }: HttpTarget) {
    this.#url = new URL(url);
    this.#headers = headers;
  }

  async open(listener: Listener): Promise<void> {
    this.#listener = listener;
  }

  async send(request: JSONRPCRequest, { signal, headers }: SendOptions): Promise<Answer> {
    const response = await this.#fetch(this.#url, {
      method: 'POST',
      headers: { ...lowerCased(this.#headers), ...headers, ...standardHeaders(request) },
      body: JSON.stringify(request),
      signal,
    });
    const isStream = response.headers.get('content-type')?.split(';')[0]?.trim() === 'text/event-stream';
    if (response.ok && isStream && response.body !== null) return this.#follow(request, response.body);
    const body = await response.text();
    const message = parseMessage(body);
    if (message !== undefined && isAnswer(message)) return message;
    if (!response.ok) throw new HttpStatusError(response.status, response.statusText, body);
    const what = body === '' ? 'nothing' : `no JSON-RPC response: ${body.slice(0, MAX_QUOTED)}`;
    throw new InvalidAnswerError(`${request.method}: the server answered ${what}`);
  }

  /** What is open is taken back by its signal, before. */
  async close(): Promise<void> {}

  /** Reads the stream up to the response. */
  async #follow({ id, method }: JSONRPCRequest, body: ReadableStream<Uint8Array>): Promise<Answer> {
    const events: string[] = [];
    const parser = createParser({ onEvent: ({ data }) => void events.push(data) });
    const decoder = new TextDecoder();
    const reader = body.getReader();
    for (let read = await reader.read(); !read.done; read = await reader.read()) {
      parser.feed(decoder.decode(read.value, { stream: true }));
      for (const data of events.splice(0)) {
        // Without data it is there to keep the connection alive.
        if (data === '') continue;
        const message = parseMessage(data);
        if (message === undefined) {
          void reader.cancel();
          throw new InvalidAnswerError(`${method}: no JSON-RPC message: ${data.slice(0, MAX_QUOTED)}`);
        }
        if (isAnswer(message)) {
          void drain(reader);
          return message;
        }
        if (isJSONRPCNotification(message)) this.#listener?.notified(message, id);
        else this.#listener?.failed(forbiddenRequest(message));
      }
    }
    throw new Error(`${method}: the stream ended before the answer`);
  }
}

/** Lets the server end the stream by itself, if it does soon: then the next request can have the connection. */
async function drain(reader: ReadableStreamDefaultReader<Uint8Array>): Promise<void> {
  const timer = setTimeout(() => void reader.cancel(), DRAIN_MS);
  try {
    while (!(await reader.read()).done);
  } catch {
    // The answer is there already.
  } finally {
    clearTimeout(timer);
  }
}

/** A response, whichever request it names: only one was made. (What could not be read is answered with none.) */
function isAnswer(message: JSONRPCMessage): message is Answer {
  return isJSONRPCResultResponse(message) || isJSONRPCErrorResponse(message);
}

function parseMessage(text: string): JSONRPCMessage | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof value !== 'object' || value === null) return undefined;
  // JSON-RPC's "no id" is null; the SDK's schema would have it missing.
  const { id, ...rest } = value as { id?: unknown };
  const parsed = JSONRPCMessageSchema.safeParse(id === null ? rest : value);
  return parsed.success ? parsed.data : undefined;
}

function lowerCased(headers: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));
}
