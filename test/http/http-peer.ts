import { onTestFinished } from 'vitest';
import { callParams, type Json } from '../wire/peer.ts';

const ACCEPT = 'application/json, text/event-stream';

export interface SseEvent {
  id?: string;
  data: string;
}

/** What a server sends on a stream; ends with the stream. */
export class SseStream {
  readonly #events: AsyncGenerator<SseEvent>;

  constructor(response: Response) {
    this.#events = parse(response);
  }

  /** The next event. */
  async next(): Promise<SseEvent> {
    const { value, done } = await this.#events.next();
    if (done === true) throw new Error('the stream has ended');
    return value;
  }

  /** The next message; skips the event that only tells the stream's id. */
  async message(): Promise<{ id: string; message: Json }> {
    for (;;) {
      const { id, data } = await this.next();
      if (data !== '') return { id: id!, message: JSON.parse(data) as Json };
    }
  }

  /** Hangs up. */
  async cancel(): Promise<void> {
    await this.#events.return(undefined);
  }

  /** All messages until the stream ends. */
  async rest(): Promise<Json[]> {
    const messages: Json[] = [];
    for await (const { data } of this.#events) if (data !== '') messages.push(JSON.parse(data) as Json);
    return messages;
  }
}

async function* parse(response: Response): AsyncGenerator<SseEvent> {
  const decoder = new TextDecoder();
  let text = '';
  for await (const chunk of response.body!) {
    text += decoder.decode(chunk as Uint8Array, { stream: true });
    for (let end = text.indexOf('\n\n'); end >= 0; end = text.indexOf('\n\n')) {
      const fields = text
        .slice(0, end)
        .split('\n')
        .map((line) => /^(\w*): ?(.*)$/.exec(line) ?? []);
      text = text.slice(end + 2);
      const of = (name: string) => fields.find(([, field]) => field === name)?.[2];
      if (of('data') !== undefined) yield { data: of('data')!, ...(of('id') && { id: of('id')! }) };
    }
  }
}

/** A client that speaks plain HTTP. */
export class HttpPeer {
  readonly url: string;
  readonly headers: Record<string, string>;
  /** Sent with every request once there is one. */
  sessionId: string | undefined;
  #lastId = 0;

  constructor(url: string, headers: Record<string, string> = {}) {
    this.url = url;
    this.headers = headers;
  }

  /** Begins a session. */
  static async open(
    url: string,
    headers: Record<string, string> = {},
    capabilities: Json = {},
  ): Promise<HttpPeer> {
    const peer = new HttpPeer(url, headers);
    const response = await peer.post({ ...INITIALIZE, params: { ...INITIALIZE.params, capabilities } });
    if (!response.ok) throw new Error(`no session: ${response.status} ${await response.text()}`);
    await response.text();
    peer.sessionId = response.headers.get('mcp-session-id')!;
    await peer.post({ jsonrpc: '2.0', method: 'notifications/initialized' });
    return peer;
  }

  fetch(method: string, headers: Record<string, string> = {}, body?: string): Promise<Response> {
    const stop = new AbortController();
    onTestFinished(() => stop.abort());
    return fetch(this.url, {
      method,
      headers: {
        accept: ACCEPT,
        ...(body !== undefined && { 'content-type': 'application/json' }),
        ...(this.sessionId !== undefined && {
          'mcp-session-id': this.sessionId,
          'mcp-protocol-version': '2025-11-25',
        }),
        ...this.headers,
        ...headers,
      },
      ...(body !== undefined && { body }),
      signal: stop.signal,
    });
  }

  post(message: unknown, headers: Record<string, string> = {}): Promise<Response> {
    return this.fetch('POST', headers, JSON.stringify(message));
  }

  /** Opens the standalone stream, or resumes any. */
  async listen(lastEventId?: string): Promise<SseStream> {
    const response = await this.fetch(
      'GET',
      lastEventId === undefined ? {} : { 'last-event-id': lastEventId },
    );
    if (!response.ok) throw new Error(`no stream: ${response.status} ${await response.text()}`);
    return new SseStream(response);
  }

  /** Sends a request, and gives its response whole. */
  async ask(method: string, params: Json = {}): Promise<Json> {
    const id = ++this.#lastId;
    const response = await this.post({ jsonrpc: '2.0', id, method, params });
    if (!response.ok) throw new Error(`${response.status} ${await response.text()}`);
    const messages = await new SseStream(response).rest();
    return messages.find((message) => message['id'] === id)!;
  }

  /** Starts a task, and gives its id. */
  async start(name: string, args: Json = {}): Promise<string> {
    const { result, error } = await this.ask('tools/call', callParams(name, args, {}));
    if (error !== undefined) throw new Error((error as Json)['message'] as string);
    return (result as Json)['task'].taskId as string;
  }
}

export const INITIALIZE = {
  jsonrpc: '2.0',
  id: 0,
  method: 'initialize',
  params: { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'peer', version: '1' } },
};

/** A request of revision 2026-07-28. */
export function modern(method: string, params: Json = {}): Json {
  return {
    jsonrpc: '2.0',
    id: 1,
    method,
    params: {
      ...params,
      _meta: {
        'io.modelcontextprotocol/protocolVersion': '2026-07-28',
        'io.modelcontextprotocol/clientInfo': { name: 'peer', version: '1' },
        'io.modelcontextprotocol/clientCapabilities': {},
      },
    },
  };
}
