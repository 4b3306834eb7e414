import { once } from 'node:events';
import { request, type IncomingMessage } from 'node:http';
import { connect, type Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { OptionError, serveHttp, type HttpOptions } from 'mcp-taskpool';
import { describe, expect, it, onTestFinished } from 'vitest';
import { newGate, until } from '../wire/fixtures.ts';
import { HttpPeer, INITIALIZE, modern } from './http-peer.ts';
import { fixtures, serveAlone, serveOnce } from './serve.ts';

const MIB = 2 ** 20;
const TOKENS: HttpOptions['auth'] = {
  verifyToken: async (token) => ({ token, clientId: token, scopes: [] }),
};
const as = (name: string) => ({ authorization: `Bearer ${name}` });

/** Sends a request as it is told, `Host` included; fetch does not let one. */
async function send(
  url: string,
  headers: Record<string, string>,
  body: string | Iterable<Buffer> = JSON.stringify(INITIALIZE),
) {
  const sent = request(url, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
      ...headers,
    },
  });
  // A server that refuses a body hangs up on who goes on sending it.
  sent.on('error', () => {});
  let answer: IncomingMessage | undefined;
  const answered = new Promise<void>((resolve) => {
    sent.once('response', (response) => {
      answer = response;
      resolve();
    });
  });
  for (const chunk of typeof body === 'string' ? [Buffer.from(body)] : body) {
    if (answer !== undefined) break;
    if (sent.write(chunk)) continue;
    await Promise.race([answered, new Promise((resolve) => sent.once('drain', resolve))]);
  }
  sent.end();
  await answered;
  const response = answer!;
  return { status: response.statusCode, body: await text(response) };
}

const HEAD = 'POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n';

async function dial(url: string): Promise<Socket> {
  const { port, hostname } = new URL(url);
  const socket = connect(Number(port), hostname);
  onTestFinished(() => void socket.destroy());
  socket.on('error', () => {});
  await once(socket, 'connect');
  return socket;
}

describe('The Host header (DNS rebinding)', () => {
  const LOCAL = [
    'localhost',
    'localhost:1234',
    '127.0.0.1',
    '127.0.0.1:80',
    '[::1]',
    '[::1]:1234',
    'LOCALHOST',
  ];
  const FOREIGN = [
    'evil.example.com',
    'localhost.evil.example.com',
    '127.0.0.1.evil.example.com',
    'evil.example.com:80',
    '192.0.2.1',
    '[2001:db8::1]',
  ];

  it('of this machine is taken on loopback, and no other: 403', async () => {
    const { url } = await serveOnce();
    for (const host of LOCAL) expect(await send(url, { host })).toMatchObject({ status: 200 });
    for (const host of FOREIGN) expect(await send(url, { host })).toMatchObject({ status: 403 });
  });

  it('that is allowed is taken, with the port that it is allowed with', async () => {
    const allowedHosts = ['tools.example.com', 'other.example.com:8443'];
    const { url } = await serveOnce({ allowedHosts, publicUrl: 'https://public.example.com/mcp' });
    const status = async (host: string) => (await send(url, { host })).status;
    expect(await status('tools.example.com')).toBe(200);
    expect(await status('tools.example.com:1')).toBe(200);
    expect(await status('public.example.com')).toBe(200);
    expect(await status('other.example.com:8443')).toBe(200);
    expect(await status('other.example.com')).toBe(403);
    expect(await status('evil.example.com')).toBe(403);
  });

  it('that is an address is taken where all are listened on, and no name but the allowed', async () => {
    const server = await serveOnce({ host: '0.0.0.0', auth: TOKENS, allowedHosts: ['tools.example.com'] });
    const url = server.url.replace('0.0.0.0', '127.0.0.1');
    const status = async (host: string) => (await send(url, { host, ...as('ann') })).status;
    expect(await status('192.0.2.1')).toBe(200);
    expect(await status('tools.example.com')).toBe(200);
    expect(await status('evil.example.com')).toBe(403);
  });

  it('is nothing to those who ask whether the server is well', async () => {
    const { url } = await serveOnce();
    const { origin } = new URL(url);
    const probe = request(`${origin}/readyz`, { headers: { host: 'pod.example.com' } }).end();
    const [response] = (await once(probe, 'response')) as [{ statusCode: number; resume(): void }];
    response.resume();
    expect(response.statusCode).toBe(200);
  });
});

describe('The Origin header (2025-11-25, transports, "Security Warning" 1)', () => {
  it('of this machine is taken on loopback, and no other: 403', async () => {
    const { url } = await serveOnce();
    const status = async (origin: string) => (await new HttpPeer(url).post(INITIALIZE, { origin })).status;
    for (const origin of [
      'http://localhost',
      'http://localhost:6274',
      'http://127.0.0.1:1',
      'https://[::1]:1',
    ]) {
      expect(await status(origin)).toBe(200);
    }
    for (const origin of [
      'https://evil.example.com',
      'http://localhost.evil.example.com',
      'null',
      'http://localhost:80@evil.example.com',
      'file://',
    ]) {
      expect(await status(origin)).toBe(403);
    }
  });

  it('that is allowed is taken, and its pages may read the answers', async () => {
    const { url } = await serveOnce({ allowedOrigins: ['https://app.example.com'] });
    const origin = 'https://app.example.com';
    const peer = new HttpPeer(url);
    const preflight = await peer.fetch('OPTIONS', {
      origin,
      'access-control-request-method': 'POST',
      'access-control-request-headers': 'authorization, mcp-session-id',
    });
    expect(preflight.status).toBe(204);
    expect(preflight.headers.get('access-control-allow-origin')).toBe(origin);
    expect(preflight.headers.get('access-control-allow-headers')).toMatch(/authorization/);
    const response = await peer.post(INITIALIZE, { origin });
    expect(response.status).toBe(200);
    expect(response.headers.get('access-control-allow-origin')).toBe(origin);
    expect(response.headers.get('access-control-expose-headers')).toMatch(/Mcp-Session-Id/i);
    expect(response.headers.get('content-type')).toBe('text/event-stream');
    const evil = await peer.fetch('OPTIONS', { origin: 'https://evil.example.com' });
    expect(evil.status).toBe(403);
    expect(evil.headers.get('access-control-allow-origin')).toBe(null);
  });

  it('of this machine is none of a server that others reach', async () => {
    const server = await serveOnce({ host: '0.0.0.0', auth: TOKENS });
    const url = server.url.replace('0.0.0.0', '127.0.0.1');
    const response = await new HttpPeer(url, as('ann')).post(INITIALIZE, { origin: 'http://localhost' });
    expect(response.status).toBe(403);
  });
});

describe('A body', () => {
  const padded = (size: number) => {
    const message = { jsonrpc: '2.0', id: 1, method: 'ping', params: { padding: '' } };
    message.params.padding = 'a'.repeat(size - JSON.stringify(message).length);
    return JSON.stringify(message);
  };

  it('of 4 MiB is read, and one that says it has more is not: 413', async () => {
    const { url } = await serveOnce();
    const peer = await HttpPeer.open(url);
    expect((await peer.fetch('POST', {}, padded(4 * MIB))).status).toBe(200);
    expect(await send(url, {}, padded(4 * MIB + 1))).toMatchObject({ status: 413 });
  });

  it('that does not say how much it has is not read on: 413', async () => {
    const { url } = await serveOnce({ limits: { maxBodyBytes: 100_000 } });
    const socket = await dial(url);
    socket.write(`${HEAD}Accept: application/json, text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n`);
    const chunk = `2710\r\n${' '.repeat(10_000)}\r\n`;
    let answer = '';
    socket.setEncoding('utf8');
    const answered = new Promise<void>((resolve) => {
      socket.on('data', (words: string) => {
        answer += words;
        resolve();
      });
      socket.on('close', () => resolve());
    });
    // More than fits into what the sockets hold: it is not taken to its end.
    let sent = 0;
    while (sent < 10_000 && socket.bytesRead === 0 && socket.writable) {
      sent++;
      if (socket.write(chunk)) continue;
      await Promise.race([answered, new Promise((resolve) => socket.once('drain', resolve))]);
    }
    await answered;
    expect(answer).toMatch(/^HTTP\/1.1 413 /);
    expect(sent).toBeLessThan(10_000);
  });

  it('that breaks off is no fault of the server', async () => {
    const faults: string[] = [];
    const log = { info: () => {}, warn: () => {}, error: (_: object, text: string) => faults.push(text) };
    const { url } = await serveOnce({ log });
    for (const framing of ['Content-Length: 100', 'Transfer-Encoding: chunked']) {
      const socket = await dial(url);
      socket.write(`${HEAD}Accept: application/json, text/event-stream\r\n${framing}\r\n\r\n1`);
      await HttpPeer.open(url);
      socket.resetAndDestroy();
      await HttpPeer.open(url);
    }
    expect(faults).toEqual([]);
  });

  it('in chunks is read where it is within the limit', async () => {
    const { url } = await serveOnce();
    const chunks = JSON.stringify(INITIALIZE)
      .match(/.{1,20}/g)!
      .map((chunk) => Buffer.from(chunk));
    expect(await send(url, { 'transfer-encoding': 'chunked' }, chunks)).toMatchObject({ status: 200 });
  });

  it('is not parsed where it is nested too deep for what comes after: 400', async () => {
    const { url } = await serveOnce({ limits: { maxDepth: 10 } });
    const peer = await HttpPeer.open(url);
    const nested = (depth: number) => {
      let value: unknown = 1;
      for (let n = 0; n < depth; n++) value = n % 2 === 0 ? [value] : { a: value };
      return { jsonrpc: '2.0', id: 3, method: 'ping', params: { value } };
    };
    expect((await peer.post(nested(8))).status).toBe(200);
    const response = await peer.post(nested(9));
    expect(response.status).toBe(400);
    expect(await response.json()).toMatchObject({ id: 3, error: { code: -32600, message: /10/ } });
    const deepest = `{"jsonrpc":"2.0","id":1,"method":"ping","params":${'['.repeat(MIB)}${']'.repeat(MIB)}}`;
    expect((await peer.fetch('POST', {}, deepest)).status).toBe(400);
  });

  it('of several messages is refused: 400, -32600', async () => {
    const { url } = await serveOnce();
    const peer = await HttpPeer.open(url);
    for (const batch of [[], [INITIALIZE], [modern('tools/list')], [INITIALIZE, INITIALIZE]]) {
      const response = await peer.post(batch);
      expect(response.status).toBe(400);
      expect(await response.json()).toMatchObject({ error: { code: -32600, message: /batch/ } });
    }
  });

  it.each([
    ['{', -32700],
    ['', -32700],
    ['1', -32600],
    ['null', -32600],
    ['{}', -32600],
    ['{"jsonrpc":"1.0","id":1,"method":"ping"}', -32600],
    ['{"jsonrpc":"2.0","id":{},"method":"ping"}', -32600],
    ['{"jsonrpc":"2.0","id":1}', -32600],
    ['{"__proto__":{"jsonrpc":"2.0","method":"ping"}}', -32600],
  ])('that is no message is refused: %s', async (body, code) => {
    const { url } = await serveOnce();
    const peer = await HttpPeer.open(url);
    const response = await peer.fetch('POST', { 'content-type': 'application/json' }, body);
    expect(response.status).toBe(400);
    expect(await response.json()).toMatchObject({ jsonrpc: '2.0', error: { code } });
    expect((await peer.ask('ping'))['result']).toEqual({});
  });

  it('of another type is refused: 415', async () => {
    const { url } = await serveOnce();
    for (const type of ['text/plain', 'application/json-seq', 'application/jsonp', '']) {
      const response = await new HttpPeer(url).post(INITIALIZE, { 'content-type': type });
      expect(response.status).toBe(415);
    }
    const json = await new HttpPeer(url).post(INITIALIZE, {
      'content-type': 'Application/JSON; charset=utf-8',
    });
    expect(json.status).toBe(200);
  });

  it('is refused where the client does not accept both kinds of answer: 406', async () => {
    const { url } = await serveOnce();
    for (const accept of ['application/json', 'text/event-stream', 'text/html']) {
      for (const message of [INITIALIZE, modern('tools/list')]) {
        expect((await new HttpPeer(url).post(message, { accept })).status).toBe(406);
      }
    }
  });
});

describe('What there is not', () => {
  it('is answered with 404, and another method with 405', async () => {
    const { url } = await serveOnce();
    const { origin } = new URL(url);
    for (const path of ['/', '/mcp/', '/mcp/x', '/sse', '/.well-known/oauth-protected-resource']) {
      expect((await fetch(`${origin}${path}`)).status).toBe(404);
    }
    for (const method of ['PUT', 'PATCH', 'HEAD', 'OPTIONS']) {
      const response = await new HttpPeer(url).fetch(method);
      expect(response.status).toBe(405);
      expect(response.headers.get('allow')).toBe('GET, POST, DELETE');
    }
  });
});

describe('Requests a second', () => {
  it('have a limit for each owner: 429, and when to try again', async () => {
    const { url } = await serveOnce({ auth: TOKENS, limits: { requestsPerSecond: 5 } });
    const ann = new HttpPeer(url, as('ann'));
    const ping = { jsonrpc: '2.0', id: 1, method: 'ping' };
    const statuses = [];
    // A slow machine fills the bucket meanwhile, though not as fast as it is emptied.
    let refused: Response | undefined;
    while (refused === undefined) {
      const response = await ann.post(ping);
      statuses.push(response.status);
      if (response.status === 429) refused = response;
    }
    expect(statuses.length).toBeGreaterThan(5);
    expect(refused.headers.get('retry-after')).toBe('1');
    expect(await refused.json()).toMatchObject({ error: { code: -32000 } });
    expect((await new HttpPeer(url, as('bob')).post(ping)).status).not.toBe(429);
    await until(async () => (await ann.post(ping)).status !== 429);
  });

  it('have it for each session where nobody says who they are', async () => {
    const { url } = await serveOnce({ limits: { requestsPerSecond: 20 } });
    const [one, two] = [await HttpPeer.open(url), await HttpPeer.open(url)];
    const ping = { jsonrpc: '2.0', id: 1, method: 'ping' };
    await until(async () => (await one.post(ping)).status === 429);
    expect((await two.post(ping)).status).toBe(200);
  });
});

describe('Open streams', () => {
  it('have a limit for each owner: 429', async () => {
    const { url, server } = await serveAlone({ auth: TOKENS, limits: { maxStreamsPerOwner: 2 } });
    const peer = await HttpPeer.open(url, as('ann'));
    const bob = await HttpPeer.open(url, as('bob'));
    const gate = await newGate();
    const taskId = await peer.start('wait_for_file', { path: gate.path });
    const stream = await peer.fetch('GET');
    const result = peer.ask('tasks/result', { taskId });
    await until(() => server.load.running === 1);
    // It takes the last place once it has arrived.
    await until(async () => (await peer.post({ jsonrpc: '2.0', id: 'p', method: 'ping' })).status === 429);
    expect((await bob.ask('ping'))['result']).toEqual({});
    gate.open();
    await result;
    await stream.body!.cancel();
    await until(async () => (await peer.post({ jsonrpc: '2.0', id: 'p', method: 'ping' })).status === 200);
  });
});

describe('Sessions', () => {
  it('have a limit for each owner: 429', async () => {
    const { url } = await serveOnce({ auth: TOKENS, limits: { maxSessionsPerOwner: 2 } });
    const first = await HttpPeer.open(url, as('ann'));
    await HttpPeer.open(url, as('ann'));
    const refused = await new HttpPeer(url, as('ann')).post(INITIALIZE);
    expect(refused.status).toBe(429);
    expect(refused.headers.get('retry-after')).toMatch(/^\d+$/);
    await HttpPeer.open(url, as('bob'));
    await first.fetch('DELETE');
    await HttpPeer.open(url, as('ann'));
  });

  it('have a limit for all: 503', async () => {
    const { url } = await serveOnce({ limits: { maxSessions: 2 } });
    const all = await Promise.all(Array.from({ length: 5 }, () => new HttpPeer(url).post(INITIALIZE)));
    expect(all.map(({ status }) => status).sort((a, b) => a - b)).toEqual([200, 200, 503, 503, 503]);
  });
});

describe('A connection', () => {
  /** What a server says to a client that says this much and no more. */
  const says = async (url: string, words: string): Promise<string> => {
    const socket = await dial(url);
    socket.write(words);
    return text(socket);
  };
  it('is closed where the headers do not come in time: 408', async () => {
    const { url } = await serveOnce({ limits: { headersTimeoutMs: 100 } });
    expect(await says(url, HEAD)).toMatch(/^HTTP\/1.1 408 /);
  });

  it('is closed where the body does not come in time', async () => {
    const { url } = await serveOnce({ limits: { headersTimeoutMs: 100, requestTimeoutMs: 200 } });
    const answer = await says(
      url,
      `${HEAD}Accept: application/json, text/event-stream\r\nContent-Length: 10\r\n\r\n{`,
    );
    expect(answer).toMatch(/^HTTP\/1.1 408 /);
  });

  it('is closed where no request comes', async () => {
    const { url } = await serveOnce({ limits: { idleTimeoutMs: 100, headersTimeoutMs: 100 } });
    const idle = 'GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n';
    expect(await says(url, idle)).toMatch(/^HTTP\/1.1 200 .*"ok"/s);
    await says(url, '');
  });

  it('is not closed for how long an answer takes', async () => {
    const limits = { headersTimeoutMs: 100, requestTimeoutMs: 100, idleTimeoutMs: 100 };
    const { url } = await serveOnce({ limits });
    const peer = await HttpPeer.open(url);
    const gate = await newGate();
    const taskId = await peer.start('wait_for_file', { path: gate.path });
    const result = peer.ask('tasks/result', { taskId });
    const late = performance.now() + 700;
    await until(() => performance.now() > late);
    gate.open();
    expect(await result).toHaveProperty('result');
  });

  it('that is no HTTP is answered with 400', async () => {
    const { url } = await serveOnce();
    expect(await says(url, 'nonsense\r\n\r\n')).toMatch(/^HTTP\/1.1 400 /);
  });
});

describe('An option that cannot be is an error that names it', () => {
  it.each<[RegExp, HttpOptions]>([
    [/^port: .* 65536$/, { port: 65_536 }],
    [/^port: .* 1.5$/, { port: 1.5 }],
    [/^host: 0.0.0.0 is every address/, { host: '0.0.0.0' }],
    [/^publicUrl: .*"nonsense"$/, { publicUrl: 'nonsense' }],
    [/^publicUrl: .*ftp:/, { publicUrl: 'ftp://example.com' }],
    [/^allowedHosts: .*"http:\/\/a"$/, { allowedHosts: ['http://a'] }],
    [/^allowedOrigins: .*"https:\/\/a\/b"$/, { allowedOrigins: ['https://a/b'] }],
    [/^allowedOrigins: .*"a"$/, { allowedOrigins: ['a'] }],
    [/^limits.maxBodyBytes: .* 0$/, { limits: { maxBodyBytes: 0 } }],
    [/^limits.requestsPerSecond: .* 1.5$/, { limits: { requestsPerSecond: 1.5 } }],
    [/^limits.sessionIdleMs: .* NaN$/, { limits: { sessionIdleMs: NaN } }],
    [/^scopes: /, { auth: { scopes: ['a'] } }],
    [/^scopes: .*"a b"$/, { auth: { tokenFile: 'tokens', scopes: ['a b'] } }],
    [/^tokenFile: .*no-such-file/, { auth: { tokenFile: '/no-such-file' } }],
    [/^jwt.issuer: /, { auth: { jwt: { jwks: 'https://a/keys', issuer: 'a', audience: 'b' } } }],
    [/^jwt.audience: /, { auth: { jwt: { jwks: 'https://a/keys', issuer: 'https://a' } } }],
    [/^jwt.jwks: .*https/, { auth: { jwt: { jwks: 'http://a/keys', issuer: 'https://a', audience: 'b' } } }],
    [
      /^jwt.jwks: .*no-such-file/,
      { auth: { jwt: { jwks: '/no-such-file', issuer: 'https://a', audience: 'b' } } },
    ],
  ])('%s', async (message, options) => {
    const error = await serveHttp(fixtures(), options).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(OptionError);
    expect((error as Error).message).toMatch(message);
  });

  it('a port that is taken is an error', async () => {
    const { url } = await serveOnce();
    const port = Number(new URL(url).port);
    await expect(serveHttp(fixtures(), { port })).rejects.toThrow(/EADDRINUSE/);
  });
});
