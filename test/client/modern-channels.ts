import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { InMemoryTransport } from '@modelcontextprotocol/sdk/inMemory.js';
import type { JSONRPCMessage } from '@modelcontextprotocol/sdk/types.js';
import { TaskClient, type ConnectOptions } from 'mcp-taskpool/client';
import { onTestFinished } from 'vitest';
import { ModernServer, type Answer } from './modern-server.ts';
import type { Json } from './scripted-server.ts';

/** A transport to the server, as a client is given it. */
export async function inMemory(server: ModernServer): Promise<InMemoryTransport> {
  const [near, far] = InMemoryTransport.createLinkedPair();
  const open = new Map<unknown, AbortController>();
  const send = (message: Json) => void far.send(structuredClone(message) as JSONRPCMessage).catch(() => {});
  far.onmessage = (incoming) => {
    const message = structuredClone(incoming) as Json;
    if (message['id'] === undefined) {
      server.notice(message);
      if (message['method'] === 'notifications/cancelled') open.get(message['params'].requestId)?.abort();
      return;
    }
    const stop = new AbortController();
    open.set(message['id'], stop);
    const cut = () => {
      // On a shared channel there is no stream to cut; this is how a server ends one.
      const params = { requestId: message['id'] };
      send({ jsonrpc: '2.0', method: 'notifications/cancelled', params });
    };
    void server.take(message, { send, cut, signal: stop.signal, headers: {} });
  };
  await far.start();
  return near;
}

/** A client in memory, of a server with these answers. */
export async function connectModern(
  answers: Record<string, Answer> = {},
  options: ConnectOptions = {},
): Promise<{ client: TaskClient; server: ModernServer }> {
  const server = new ModernServer(answers);
  const client = await TaskClient.connect(await inMemory(server), { protocol: '2026-07-28', ...options });
  onTestFinished(() => client.close());
  return { client, server };
}

/** How a server over HTTP answers a request. */
export type Framing = 'json' | 'sse';

/**
 * The server over Streamable HTTP, until the test is over; gives its URL.
 * @param framing of an answer that no notification precedes
 */
export async function overHttp(
  server: ModernServer,
  framing: Framing = 'json',
  raw?: (message: Json, response: ServerResponse) => boolean,
): Promise<string> {
  const http = createServer((request, response) => {
    void (async () => {
      let body = '';
      for await (const chunk of request.setEncoding('utf8')) body += String(chunk);
      if (request.method !== 'POST') return response.writeHead(405).end();
      const message = JSON.parse(body) as Json;
      if (raw?.(message, response) === true) return;
      await answer(server, message, request, response, framing);
    })();
  });
  http.listen(0, '127.0.0.1');
  await once(http, 'listening');
  onTestFinished(async () => {
    http.closeAllConnections();
    http.close();
    await once(http, 'close');
  });
  return `http://127.0.0.1:${(http.address() as AddressInfo).port}/mcp`;
}

/** The status that the revision gives an error ("Protocol Version Header", "Server Validation"). */
const STATUS: Readonly<Record<number, number>> = {
  [-32601]: 404,
  [-32602]: 400,
  [-32020]: 400,
  [-32022]: 400,
};

async function answer(
  server: ModernServer,
  message: Json,
  { headers }: IncomingMessage,
  response: ServerResponse,
  framing: Framing,
): Promise<void> {
  const stop = new AbortController();
  response.on('close', () => {
    if (!response.writableFinished) stop.abort();
  });
  const send = (outgoing: Json) => {
    const isAnswer = outgoing['method'] === undefined;
    const code = outgoing['error']?.code as number | undefined;
    const isStream = response.headersSent || framing === 'sse' || !isAnswer;
    if (!isStream || (code !== undefined && !response.headersSent)) {
      const status = code === undefined ? 200 : (STATUS[code] ?? 200);
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(outgoing));
      return;
    }
    if (!response.headersSent) response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.write(`: hello\n\nevent: message\ndata: ${JSON.stringify(outgoing)}\n\n`);
    if (isAnswer) response.end();
  };
  const cut = () => void response.socket?.destroy();
  await server.take(message, { send, cut, signal: stop.signal, headers });
}
