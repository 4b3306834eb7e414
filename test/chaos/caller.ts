const ACCEPT = 'application/json, text/event-stream';
/** Of the tasks extension of 2026-07-28, and of a client that has an answer to everything. */
const CAPABILITIES = {
  extensions: { 'io.modelcontextprotocol/tasks': {} },
  elicitation: { form: {} },
};
/** After which an answer is taken for lost. */
const LOST_MS = 30_000;

/** What the messages that are sent here may hold. */
export interface Fields {
  readonly taskId?: string;
  readonly status?: string;
  readonly statusMessage?: string;
  readonly task?: Fields;
  readonly tasks?: readonly Fields[];
  readonly nextCursor?: string;
  readonly inputRequests?: Readonly<Record<string, { readonly params: { readonly message: string } }>>;
  readonly result?: Fields;
  readonly error?: ResponseError;
  readonly content?: readonly { readonly type: string; readonly text?: string }[];
  readonly structuredContent?: Readonly<Record<string, unknown>>;
  readonly isError?: boolean;
  readonly _meta?: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
}

interface ResponseError {
  readonly code: number;
  readonly message: string;
}

export interface Answer {
  readonly id?: number;
  readonly result?: Fields;
  readonly error?: ResponseError;
}

/**
 * Makes requests of a server over HTTP, as one owner, in both revisions of the protocol: in bare JSON-RPC, so
 * that nothing stands between what the server says and the audit. Where there is no answer because the
 * server has gone, it is undefined.
 */
export class Caller {
  /** Whose tasks they are: the name of the token. */
  readonly owner: string;
  readonly #url: string;
  readonly #token: string;
  #session: Promise<string | undefined> | undefined;
  #lastId = 0;

  constructor(url: string, owner: string, token: string) {
    this.#url = url;
    this.owner = owner;
    this.#token = token;
  }

  /** A request of 2026-07-28. */
  modern(method: string, params: Readonly<Record<string, unknown>>): Promise<Answer | undefined> {
    const name = params['name'] ?? params['taskId'];
    const _meta = {
      'io.modelcontextprotocol/protocolVersion': '2026-07-28',
      'io.modelcontextprotocol/clientInfo': { name: 'chaos', version: '0' },
      'io.modelcontextprotocol/clientCapabilities': CAPABILITIES,
      ...(params['_meta'] as object | undefined),
    };
    const headers = {
      'mcp-protocol-version': '2026-07-28',
      'mcp-method': method,
      ...(name !== undefined && { 'mcp-name': name as string }),
    };
    return this.#request(method, { ...params, _meta }, headers);
  }

  /** A request of 2025-11-25, in a session of its own. */
  async legacy(method: string, params: object): Promise<Answer | undefined> {
    this.#session ??= this.#open();
    const session = await this.#session;
    if (session === undefined) return undefined;
    return this.#request(method, params, headersOf(session));
  }

  async #open(): Promise<string | undefined> {
    const params = {
      protocolVersion: '2025-11-25',
      capabilities: {},
      clientInfo: { name: 'chaos', version: '0' },
    };
    const response = await this.#post({ jsonrpc: '2.0', id: 0, method: 'initialize', params });
    const session = response?.headers.get('mcp-session-id') ?? undefined;
    if (session === undefined) return undefined;
    await this.#post({ jsonrpc: '2.0', method: 'notifications/initialized' }, headersOf(session));
    return session;
  }

  async #request(
    method: string,
    params: object,
    headers: Readonly<Record<string, string>>,
  ): Promise<Answer | undefined> {
    const id = ++this.#lastId;
    const response = await this.#post({ jsonrpc: '2.0', id, method, params }, headers);
    if (response === undefined) return undefined;
    const messages = messagesOf(response.body);
    const answer = messages.find((message) => message.id === id);
    if (answer === undefined && response.status >= 400)
      throw new Error(`${method}: ${response.status} ${response.body.slice(0, 300)}`);
    // A stream that ended without it was cut.
    return answer;
  }

  /** Undefined where the server is not there, or was not any more before it had said all. */
  async #post(
    message: object,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<{ status: number; headers: Headers; body: string } | undefined> {
    try {
      const response = await fetch(this.#url, {
        method: 'POST',
        headers: {
          'content-type': 'application/json',
          accept: ACCEPT,
          authorization: `Bearer ${this.#token}`,
          ...headers,
        },
        body: JSON.stringify(message),
        signal: AbortSignal.timeout(LOST_MS),
      });
      return { status: response.status, headers: response.headers, body: await response.text() };
    } catch (error) {
      if (error instanceof TypeError) return undefined;
      throw new Error(`no answer to ${JSON.stringify(message).slice(0, 300)}`, { cause: error });
    }
  }
}

function headersOf(session: string): Record<string, string> {
  return { 'mcp-session-id': session, 'mcp-protocol-version': '2025-11-25' };
}

/** What a response has, be it a stream of events or not. */
function messagesOf(body: string): Answer[] {
  const texts = body.startsWith('{')
    ? [body]
    : body
        .split('\n')
        .filter((line) => line.startsWith('data: {'))
        .map((line) => line.slice('data: '.length));
  try {
    return texts.map((text) => JSON.parse(text) as Answer);
  } catch {
    return [];
  }
}
