import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { request, type Agent, type IncomingMessage } from 'node:http';
import { text } from 'node:stream/consumers';

/** A server as a child process; disposing of it ends it. */
export interface HttpChild {
  readonly url: string;
  [Symbol.asyncDispose](): Promise<void>;
}

/** Starts a server that writes its URL to standard error. */
export async function startHttp(args: readonly string[]): Promise<HttpChild> {
  const child: ChildProcess = spawn(process.execPath, args, { stdio: ['ignore', 'ignore', 'pipe'] });
  const exited = once(child, 'exit');
  let heard = '';
  for await (const chunk of child.stderr!) {
    heard += String(chunk);
    if (/http:\S+/.test(heard)) break;
  }
  const [url] = /http:\S+/.exec(heard) ?? [];
  if (url === undefined) throw new Error(`the server did not start: ${heard}`);
  return {
    url,
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL');
      await exited;
    },
  };
}

type Json = Record<string, unknown>;

/** A client of 2025-11-25 that costs as little as can be, so that it is the server that is measured. */
export class HttpPeer {
  readonly #url: URL;
  readonly #agent: Agent;
  #session: string | undefined;
  #lastId = 0;

  private constructor(url: string, agent: Agent) {
    this.#url = new URL(url);
    this.#agent = agent;
  }

  /** @param agent keeps the connections alive */
  static async connect(url: string, agent: Agent): Promise<HttpPeer> {
    const peer = new HttpPeer(url, agent);
    const clientInfo = { name: 'bench', version: '0' };
    await peer.ask('initialize', { protocolVersion: '2025-11-25', capabilities: {}, clientInfo });
    return peer;
  }

  /** @throws when the answer is an error */
  async ask(method: string, params: Json): Promise<Json> {
    const response = await this.#send('POST', { jsonrpc: '2.0', id: ++this.#lastId, method, params });
    this.#session ??= response.headers['mcp-session-id'] as string | undefined;
    const body = await text(response);
    const data = body.startsWith('{') ? body : (/^data: (\{.*)$/m.exec(body)?.[1] ?? '{}');
    const { result, error } = JSON.parse(data) as { result?: Json; error?: Json };
    if (result === undefined)
      throw new Error(`${method}: ${response.statusCode} ${JSON.stringify(error ?? body)}`);
    return result;
  }

  /** Opens the stream of what the server says by itself; gives what closes it. */
  async listen(): Promise<() => void> {
    const response = await this.#send('GET');
    response.resume();
    return () => response.destroy();
  }

  #send(method: 'GET' | 'POST', message?: Json): Promise<IncomingMessage> {
    return new Promise((resolve, reject) => {
      const outgoing = request(
        this.#url,
        {
          method,
          agent: this.#agent,
          headers: {
            accept: method === 'GET' ? 'text/event-stream' : 'application/json, text/event-stream',
            'mcp-protocol-version': '2025-11-25',
            ...(message !== undefined && { 'content-type': 'application/json' }),
            ...(this.#session !== undefined && { 'mcp-session-id': this.#session }),
          },
        },
        resolve,
      );
      outgoing.on('error', reject);
      outgoing.end(message === undefined ? undefined : JSON.stringify(message));
    });
  }
}
