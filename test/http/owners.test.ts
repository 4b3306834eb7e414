import { chmod, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { generateKeyPair, SignJWT, UnsecuredJWT } from 'jose';
import { OptionError, serveHttp, type HttpAuth, type HttpOptions } from 'mcp-taskpool';
import { TaskClient } from 'mcp-taskpool/client';
import { describe, expect, it, onTestFinished } from 'vitest';
import { emptyFolder, newGate } from '../wire/fixtures.ts';
import { AUDIENCE, startAuthorizationServer } from './authorization-server.ts';
import { HttpPeer, INITIALIZE, modern } from './http-peer.ts';
import { fixtures, serveAlone, serveOnce } from './serve.ts';

const bearer = (token: string) => ({ authorization: `Bearer ${token}` });

/** A server that takes tokens of an authorization server. */
async function serveJwt(options: HttpOptions = {}, scopes: string[] = ['tools']) {
  const issuer = await startAuthorizationServer();
  const jwt = { jwks: issuer.jwksUrl, issuer: issuer.issuer, audience: AUDIENCE };
  const http = await serveOnce({ ...options, auth: { jwt, scopes, ...options.auth } });
  return {
    ...http,
    issuer,
    origin: new URL(http.url).origin,
    open: async (claims: object = {}) => HttpPeer.open(http.url, bearer(await issuer.sign({ ...claims }))),
    status: async (token: string) => (await new HttpPeer(http.url, bearer(token)).post(INITIALIZE)).status,
  };
}

async function tokenFile(content: string, mode = 0o600): Promise<string> {
  const path = join(await emptyFolder(), 'tokens');
  await writeFile(path, content);
  await chmod(path, mode);
  return path;
}

describe('Without a token (2025-11-25, authorization; RFC 6750, RFC 9728)', () => {
  it('a request is answered with 401, and where to get one', async () => {
    const { url, origin, open } = await serveJwt();
    const { sessionId } = await open();
    for (const [method, headers] of [
      ['POST', {}],
      ['GET', { 'mcp-session-id': sessionId! }],
      ['DELETE', { 'mcp-session-id': sessionId! }],
      ['POST', { authorization: 'Basic YTpi' }],
      ['POST', { authorization: 'Bearer' }],
    ] as const) {
      const body = method === 'POST' ? JSON.stringify(INITIALIZE) : undefined;
      const response = await new HttpPeer(url).fetch(method, headers, body);
      expect(response.status).toBe(401);
      expect(response.headers.get('www-authenticate')).toBe(
        `Bearer scope="tools", resource_metadata="${origin}/.well-known/oauth-protected-resource/mcp"`,
      );
    }
  });

  it('the metadata says which authorization server has them, with and without the path', async () => {
    const { url, origin, issuer } = await serveJwt();
    for (const path of ['', '/mcp']) {
      const response = await fetch(`${origin}/.well-known/oauth-protected-resource${path}`);
      expect(response.headers.get('content-type')).toMatch('application/json');
      expect(await response.json()).toEqual({
        resource: url,
        authorization_servers: [issuer.issuer],
        scopes_supported: ['tools'],
        bearer_methods_supported: ['header'],
      });
    }
  });

  it('both name the endpoint as clients reach it, where a proxy stands before it', async () => {
    const { url, origin } = await serveJwt({ publicUrl: 'https://tools.example.com/some/mcp' });
    const path = '/.well-known/oauth-protected-resource/some/mcp';
    const response = await new HttpPeer(url).post(INITIALIZE);
    expect(response.headers.get('www-authenticate')).toContain(`"https://tools.example.com${path}"`);
    const metadata = await fetch(`${origin}${path}`);
    expect(await metadata.json()).toMatchObject({ resource: 'https://tools.example.com/some/mcp' });
  });

  it('probes are answered', async () => {
    const { origin } = await serveJwt();
    for (const path of ['/healthz', '/readyz']) expect((await fetch(`${origin}${path}`)).status).toBe(200);
  });
});

describe('An access token that is a JSON Web Token', () => {
  it('opens a session, and its client can list its tasks', async () => {
    const { url, issuer } = await serveJwt();
    await using client = await TaskClient.connect({ url, headers: bearer(await issuer.sign({})) });
    expect((await client.startTask('echo', { text: 'a' })).data).toBe('a');
    const peer = await HttpPeer.open(url, bearer(await issuer.sign({})));
    expect(await peer.ask('tasks/list')).toMatchObject({ result: { tasks: [{ status: 'completed' }] } });
  });

  it('is verified by keys that are fetched once', async () => {
    const { issuer, status } = await serveJwt();
    for (let n = 0; n < 3; n++) expect(await status(await issuer.sign({ sub: `user ${n}` }))).toBe(200);
    expect(issuer.fetched).toBe(1);
  });

  it('is verified by keys in a file', async () => {
    const issuer = await startAuthorizationServer();
    const jwks = join(await emptyFolder(), 'jwks.json');
    await writeFile(jwks, JSON.stringify(issuer.jwks));
    const { url } = await serveOnce({ auth: { jwt: { jwks, issuer: issuer.issuer, audience: AUDIENCE } } });
    await HttpPeer.open(url, bearer(await issuer.sign({})));
    expect(issuer.fetched).toBe(0);
  });

  it('is for the public URL, where nothing else is said', async () => {
    const issuer = await startAuthorizationServer();
    const jwt = { jwks: issuer.jwksUrl, issuer: issuer.issuer };
    const { url } = await serveOnce({ publicUrl: 'https://tools.example.com', auth: { jwt } });
    await HttpPeer.open(url, bearer(await issuer.sign({ aud: 'https://tools.example.com/mcp' })));
    const other = new HttpPeer(url, bearer(await issuer.sign({ aud: 'https://tools.example.com/other' })));
    expect((await other.post(INITIALIZE)).status).toBe(401);
  });

  it.each<[string, (issuer: Awaited<ReturnType<typeof startAuthorizationServer>>) => Promise<string>]>([
    ['for another audience', (issuer) => issuer.sign({ aud: 'https://other.example.com' })],
    ['for no audience', (issuer) => issuer.sign({ aud: undefined })],
    ['of another issuer', (issuer) => issuer.sign({ iss: 'https://evil.example.com' })],
    ['that has expired', (issuer) => issuer.sign({}, { expires: '1 minute ago' })],
    ['that is not valid yet', (issuer) => issuer.sign({ nbf: Math.floor(Date.now() / 1000) + 60 })],
    ['of neither a user nor a client', (issuer) => issuer.sign({ sub: undefined, client_id: undefined })],
    [
      'signed by another key',
      async (issuer) => issuer.sign({}, { key: (await generateKeyPair('ES256')).privateKey }),
    ],
    [
      'signed by nobody',
      async ({ issuer }) =>
        new UnsecuredJWT({ sub: 'ann' })
          .setIssuer(issuer)
          .setAudience(AUDIENCE)
          .setExpirationTime('1h')
          .encode(),
    ],
    [
      'signed with a secret',
      async ({ issuer, jwks }) =>
        new SignJWT({ sub: 'ann' })
          .setProtectedHeader({ alg: 'HS256', kid: 'one' })
          .setIssuer(issuer)
          .setAudience(AUDIENCE)
          .setExpirationTime('1h')
          .sign(new TextEncoder().encode(JSON.stringify(jwks.keys[0]))),
    ],
    [
      'that never expires',
      async ({ issuer }) =>
        new SignJWT({ sub: 'ann' })
          .setProtectedHeader({ alg: 'HS256', kid: 'one' })
          .setIssuer(issuer)
          .sign(new TextEncoder().encode('a secret that is long enough for it')),
    ],
    ['that is none', async () => 'nonsense'],
  ])('is refused: one %s', async (_, tokenOf) => {
    const { url, issuer } = await serveJwt();
    const response = await new HttpPeer(url, bearer(await tokenOf(issuer))).post(INITIALIZE);
    expect(response.status).toBe(401);
    expect(response.headers.get('www-authenticate')).toContain('error="invalid_token"');
  });

  it('is refused without the scopes: 403, and which they are', async () => {
    const { url, issuer, status } = await serveJwt({}, ['tools', 'run']);
    const peer = new HttpPeer(url, bearer(await issuer.sign({ scope: 'tools other' })));
    const response = await peer.post(INITIALIZE);
    expect(response.status).toBe(403);
    const challenge = response.headers.get('www-authenticate');
    expect(challenge).toContain('error="insufficient_scope"');
    expect(challenge).toContain('scope="tools run"');
    expect(await status(await issuer.sign({ scope: 'run tools' }))).toBe(200);
    expect(await status(await issuer.sign({ scope: undefined, scp: ['run', 'tools'] }))).toBe(200);
  });

  it('is looked at with every request', async () => {
    const { open } = await serveJwt();
    const peer = await open();
    peer.headers['authorization'] = 'Bearer nonsense';
    expect((await peer.post({ jsonrpc: '2.0', id: 1, method: 'ping' })).status).toBe(401);
  });

  it('is not called invalid where the keys cannot be had: 503', async () => {
    const { issuer, status } = await serveJwt();
    issuer.status = 500;
    expect(await status(await issuer.sign({}))).toBe(503);
    issuer.status = 200;
    expect(await status(await issuer.sign({}))).toBe(200);
  });
});

describe('A task belongs to the issuer, subject and client of the token', () => {
  it('and is found again from another session, with another token', async () => {
    const { open } = await serveJwt();
    const one = await open();
    const taskId = await one.start('echo', { text: 'mine' });
    await one.ask('tasks/result', { taskId });
    await one.fetch('DELETE');
    const two = await open({ jti: 'another' });
    expect(await two.ask('tasks/result', { taskId })).toMatchObject({
      result: { content: [{ text: 'mine' }] },
    });
  });

  it.each([
    ['user', { sub: 'bob' }],
    ['client', { client_id: 'other' }],
  ])('and is unknown to another %s, byte for byte as one that never was', async (_, claims) => {
    const { open } = await serveJwt();
    const owner = await open();
    const gate = await newGate();
    const taskId = await owner.start('wait_for_file', { path: gate.path });
    const other = await open(claims);
    const never = taskId.replace(/^.{8}/, '00000000');
    for (const method of ['tasks/get', 'tasks/result', 'tasks/cancel']) {
      const answer = async (id: string) => {
        const response = await other.post({ jsonrpc: '2.0', id: 7, method, params: { taskId: id } });
        const text = (await response.text()).replace(/^id: .*$/gm, 'id');
        return { status: response.status, text };
      };
      expect(await answer(taskId)).toEqual(await answer(never));
    }
    expect(await other.ask('tasks/list')).toMatchObject({ result: { tasks: [] } });
    expect(await owner.ask('tasks/get', { taskId })).toMatchObject({ result: { status: 'working' } });
    gate.open();
  });

  it('on 2026-07-28 too: what is served is told who asks', async () => {
    const issuer = await startAuthorizationServer();
    const heard: unknown[] = [];
    const http = await serveHttp(
      {
        ...fixtures(),
        modern: async (request, { authInfo, parsedBody }) => {
          heard.push(authInfo);
          return Response.json({ id: (parsedBody as { id: number }).id, url: request.url });
        },
      },
      { auth: { jwt: { jwks: issuer.jwksUrl, issuer: issuer.issuer, audience: AUDIENCE } } },
    );
    onTestFinished(() => http.close({ drainMs: 1 }));
    const token = await issuer.sign({});
    const response = await new HttpPeer(http.url, bearer(token)).post(modern('tools/list'));
    expect(await response.json()).toEqual({ id: 1, url: http.url });
    expect(heard).toEqual([
      {
        token,
        clientId: 'app',
        scopes: ['tools'],
        expiresAt: expect.any(Number),
        extra: { iss: issuer.issuer, sub: 'ann' },
      },
    ]);
  });
});

describe('Another\'s session (2025-11-25, security best practices, "Session Hijacking")', () => {
  it('is answered as one that does not exist', async () => {
    const { open } = await serveJwt();
    const [ann, bob] = [await open({ sub: 'ann' }), await open({ sub: 'bob' })];
    const answers = async (sessionId: string) => {
      bob.sessionId = sessionId;
      const all = [
        await bob.post({ jsonrpc: '2.0', id: 1, method: 'ping' }),
        await bob.fetch('GET'),
        await bob.fetch('DELETE'),
      ];
      return Promise.all(all.map(async (response) => [response.status, await response.text()]));
    };
    const foreign = await answers(ann.sessionId!);
    expect(foreign).toEqual(await answers('00000000-0000-4000-8000-000000000000'));
    expect(foreign.map(([status]) => status)).toEqual([404, 404, 404]);
    expect((await ann.ask('ping'))['result']).toEqual({});
  });
});

describe('A token of a file', () => {
  const [ANN, BOB, ANN_TOO] = [
    'token-of-ann-0123456789',
    'token-of-bob-0123456789',
    'another-of-ann-0123456789',
  ];
  const CONTENT = `# who may call\n${ANN} ann\n\n  ${BOB}\tbob the builder\n${ANN_TOO} ann\n`;

  it('is that of its name, and opens a session', async () => {
    const { url } = await serveOnce({ auth: { tokenFile: await tokenFile(CONTENT) } });
    const ann = await HttpPeer.open(url, bearer(ANN));
    const taskId = await ann.start('echo', { text: 'a' });
    const again = await HttpPeer.open(url, bearer(ANN_TOO));
    expect(await again.ask('tasks/get', { taskId })).toHaveProperty('result');
    const bob = await HttpPeer.open(url, bearer(BOB));
    expect(await bob.ask('tasks/get', { taskId })).toMatchObject({ error: { code: -32602 } });
  });

  it('is refused where it is not in the file, whatever it is like', async () => {
    const { url } = await serveOnce({ auth: { tokenFile: await tokenFile(CONTENT) } });
    for (const token of [`${ANN}x`, ANN.slice(0, -1), ANN.toUpperCase(), 'x']) {
      const response = await new HttpPeer(url, bearer(token)).post(INITIALIZE);
      expect(response.status).toBe(401);
      expect(response.headers.get('www-authenticate')).toBe(
        'Bearer error="invalid_token", error_description="The access token is not valid, or has expired"',
      );
    }
  });

  it('can stand beside access tokens of an authorization server', async () => {
    const { url, open } = await serveJwt({ auth: { tokenFile: await tokenFile(CONTENT) } });
    for (const peer of [await open(), await HttpPeer.open(url, bearer(ANN))]) {
      expect((await peer.ask('ping'))['result']).toEqual({});
    }
  });

  it('leads to no metadata: there is no authorization server', async () => {
    const { url } = await serveOnce({ auth: { tokenFile: await tokenFile(CONTENT) } });
    const response = await fetch(new URL('/.well-known/oauth-protected-resource', url));
    expect(response.status).toBe(404);
  });

  it('is warned of where others can read it', async () => {
    const warnings: string[] = [];
    const log = { info: () => {}, error: () => {}, warn: (_: object, text: string) => warnings.push(text) };
    await serveOnce({ auth: { tokenFile: await tokenFile(CONTENT, 0o644) }, log });
    expect(warnings).toEqual([expect.stringMatching(/others can read/)]);
    await serveOnce({ auth: { tokenFile: await tokenFile(CONTENT, 0o600) }, log });
    expect(warnings).toHaveLength(1);
  });

  it.each([
    ['without a name', ANN, /line 1: expected a token, a space and a name/],
    ['with a short token', '# a\nshort ann', /line 2: the token is shorter than 16/],
    ['with a token that no header carries', `${'ü'.repeat(20)} ann`, /line 1: the token has characters/],
    ['with a token that is there twice', `${ANN} ann\n${ANN} bob`, /line 2: the token is there twice/],
    ['with nothing in it', '# nobody\n', /no token/],
  ])(
    'does not let the server start from a file %s, which is said without the token',
    async (_, content, problem) => {
      const server = fixtures();
      const error = await serveHttp(server, { auth: { tokenFile: await tokenFile(content) } }).catch(
        (reason: unknown) => reason,
      );
      expect(error).toBeInstanceOf(OptionError);
      expect((error as Error).message).toMatch(problem);
      expect((error as Error).message).not.toContain(ANN);
    },
  );
});

describe('A token of another kind', () => {
  const verifyToken: HttpAuth['verifyToken'] = async (token) => {
    if (token === 'broken') throw new Error('introspection is down');
    const expiresAt = Date.now() / 1000 + (token === 'old' ? -1 : 60);
    return token === 'unknown' ? undefined : { token, clientId: token, scopes: ['a'], expiresAt };
  };

  it('is what the embedder says of it', async () => {
    const { url } = await serveOnce({ auth: { verifyToken, scopes: ['a'] } });
    const status = async (token: string) => (await new HttpPeer(url, bearer(token)).post(INITIALIZE)).status;
    expect(await status('good')).toBe(200);
    expect(await status('unknown')).toBe(401);
    expect(await status('old')).toBe(401);
    expect(await status('broken')).toBe(503);
  });
});

describe('Without authentication', () => {
  it('nobody but this machine is served', async () => {
    const server = fixtures();
    for (const host of ['0.0.0.0', '::', '192.0.2.1', 'tools.example.com']) {
      await expect(serveHttp(server, { host })).rejects.toThrow(OptionError);
      await expect(serveHttp(server, { host })).rejects.toThrow(/without authentication/);
    }
    for (const host of ['localhost', '127.0.0.1', '::1']) {
      const http = await serveHttp(fixtures(), { host });
      expect((await fetch(new URL('/healthz', http.url))).status).toBe(200);
      await http.close({ drainMs: 1 });
    }
  });

  it('a task belongs to the session', async () => {
    const { url } = await serveOnce();
    const [one, two] = [await HttpPeer.open(url), await HttpPeer.open(url)];
    const taskId = await one.start('echo', { text: 'a' });
    expect(await two.ask('tasks/get', { taskId })).toMatchObject({ error: { code: -32602 } });
    expect(await one.ask('tasks/get', { taskId })).toHaveProperty('result');
  });

  it('guessing the ids of tasks is slowed down', async () => {
    const { url } = await serveAlone({}, { maxLookUpMisses: 3 });
    const peer = await HttpPeer.open(url);
    const codes = [];
    for (let n = 0; n < 4; n++) {
      const { error } = (await peer.ask('tasks/get', { taskId: `guess ${n}` })) as {
        error: { code: number };
      };
      codes.push(error.code);
    }
    expect(codes).toEqual([-32602, -32602, -32602, -32000]);
  });
});
