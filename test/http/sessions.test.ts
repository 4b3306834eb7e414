import { TaskClient } from 'mcp-taskpool/client';
import { describe, expect, it, onTestFinished } from 'vitest';
import { newGate, until } from '../wire/fixtures.ts';
import { callParams } from '../wire/peer.ts';
import { HttpPeer, INITIALIZE, SseStream } from './http-peer.ts';
import { serveAlone, serveOnce } from './serve.ts';

describe('A session (2025-11-25, transports, "Session Management")', () => {
  it('begins with `initialize`, and has an id of visible characters', async () => {
    const { url } = await serveOnce();
    const response = await new HttpPeer(url).post(INITIALIZE);
    expect(response.status).toBe(200);
    expect(response.headers.get('mcp-session-id')).toMatch(/^[\x21-\x7E]{32,}$/);
    const [{ result }] = (await new SseStream(response).rest()) as [{ result: object }];
    expect(result).toMatchObject({ protocolVersion: '2025-11-25' });
  });

  it('serves our client: tasks, progress and plain calls', async () => {
    const { url } = await serveOnce();
    await using client = await TaskClient.connect({ url });
    const heard: number[] = [];
    const task = client.startTask('report_once', {}, { onProgress: ({ progress }) => heard.push(progress) });
    expect((await task).data).toBe('done');
    expect(task.mode).toBe('task');
    expect((await client.callTool('add', { a: 1 })).data).toEqual({ sum: 2 });
    await until(() => heard.length > 0);
  });

  it('is needed for all but `initialize`: 400', async () => {
    const { url } = await serveOnce();
    const peer = new HttpPeer(url);
    for (const response of [
      await peer.post({ jsonrpc: '2.0', id: 1, method: 'tools/list' }),
      await peer.fetch('GET'),
      await peer.fetch('DELETE'),
    ]) {
      expect(response.status).toBe(400);
      expect(await response.json()).toMatchObject({ error: { message: /Mcp-Session-Id/ } });
    }
  });

  it('does not begin with an `initialize` that is malformed', async () => {
    const { url } = await serveOnce({ limits: { maxSessions: 1 } });
    const peer = new HttpPeer(url);
    for (let n = 0; n < 3; n++) {
      const response = await peer.post({ jsonrpc: '2.0', id: 1, method: 'initialize', params: {} });
      expect(response.status).toBe(400);
    }
    await expect(HttpPeer.open(url)).resolves.toBeInstanceOf(HttpPeer);
  });

  it('is unknown once it has been ended: 404', async () => {
    const { url } = await serveOnce();
    const peer = await HttpPeer.open(url);
    expect((await peer.fetch('DELETE')).status).toBe(200);
    for (const response of [
      await peer.post({ jsonrpc: '2.0', id: 1, method: 'ping' }),
      await peer.fetch('GET'),
      await peer.fetch('DELETE'),
    ]) {
      expect(response.status).toBe(404);
    }
  });

  it('is ended with its streams', async () => {
    const { url } = await serveOnce();
    const peer = await HttpPeer.open(url);
    const stream = await peer.listen();
    await peer.fetch('DELETE');
    expect(await stream.rest()).toEqual([]);
  });

  it('is unknown after nothing has been open for a while', async () => {
    const { url } = await serveOnce({ limits: { sessionIdleMs: 20 } });
    const peer = await HttpPeer.open(url);
    const ping = () => peer.post({ jsonrpc: '2.0', id: 1, method: 'ping' });
    const idle = performance.now() + 200;
    await until(() => performance.now() > idle);
    expect((await ping()).status).toBe(404);
  });

  it('lives as long as a stream of it is open', async () => {
    const { url } = await serveOnce({ limits: { sessionIdleMs: 1000 } });
    const peer = await HttpPeer.open(url);
    await peer.listen();
    const idle = performance.now() + 1500;
    await until(() => performance.now() > idle);
    expect((await peer.ask('ping'))['result']).toEqual({});
  });

  it('tells on each stream, before all else, from where to resume it and when', async () => {
    const { url } = await serveOnce();
    const response = await (await HttpPeer.open(url)).post({ jsonrpc: '2.0', id: 9, method: 'ping' });
    await expect(response.text()).resolves.toMatch(/^id: \S+\nretry: \d+\ndata: *\n\n/);
  });

  it('is one of 2025-11-25: GET and DELETE are no methods of later revisions, 405', async () => {
    const { url } = await serveOnce();
    const peer = new HttpPeer(url, { 'mcp-protocol-version': '2026-07-28' });
    for (const method of ['GET', 'DELETE']) {
      const response = await peer.fetch(method);
      expect(response.status).toBe(405);
      expect(response.headers.get('allow')).toBe('POST');
    }
  });

  it('declares no tasks/list where a client is known by its session only, and answers none', async () => {
    const { url } = await serveOnce();
    const peer = new HttpPeer(url);
    const response = await peer.post(INITIALIZE);
    peer.sessionId = response.headers.get('mcp-session-id')!;
    const [{ result }] = (await new SseStream(response).rest()) as [
      { result: { capabilities: { tasks: object } } },
    ];
    expect(result.capabilities.tasks).toEqual({ cancel: {}, requests: { tools: { call: {} } } });
    expect(await peer.ask('tasks/list')).toMatchObject({ error: { code: -32601 } });
  });
});

describe('A client that goes away (2025-11-25, transports, "Sending Messages" 6)', () => {
  it('does not cancel its call', async () => {
    const { url, server } = await serveAlone();
    const peer = await HttpPeer.open(url);
    const gate = await newGate();
    const stop = new AbortController();
    const call = {
      jsonrpc: '2.0',
      id: 'call',
      method: 'tools/call',
      params: callParams('wait_for_file', { path: gate.path }),
    };
    const response = await fetch(url, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        accept: 'application/json, text/event-stream',
        'mcp-session-id': peer.sessionId!,
        'mcp-protocol-version': '2025-11-25',
      },
      body: JSON.stringify(call),
      signal: stop.signal,
    });
    const { id } = await new SseStream(response).next();
    await until(() => server.load.running === 1);
    stop.abort();
    // Its connection has closed by the time the server has answered on another.
    await peer.ask('ping');
    gate.open();
    const { message } = await (await peer.listen(id)).message();
    expect(message).toMatchObject({ id: 'call', result: { content: [{ text: 'the file exists' }] } });
  });

  it('does not cancel its task, whose result it gets by the session later', async () => {
    const { url } = await serveOnce();
    const peer = await HttpPeer.open(url);
    const gate = await newGate();
    const taskId = await peer.start('wait_for_file', { path: gate.path });
    const result = await peer.post({ jsonrpc: '2.0', id: 9, method: 'tasks/result', params: { taskId } });
    await result.body!.cancel();
    gate.open();
    expect(await peer.ask('tasks/result', { taskId })).toMatchObject({
      result: { content: [{ text: 'the file exists' }] },
    });
  });
});

describe('A task outlives its session', () => {
  it('though nobody can find it any more without a token', async () => {
    const { url, server } = await serveAlone();
    const gate = await newGate();
    const peer = await HttpPeer.open(url);
    const taskId = await peer.start('wait_for_file', { path: gate.path });
    await until(() => server.load.running === 1);
    await peer.fetch('DELETE');
    const other = await HttpPeer.open(url);
    expect(server.load.running).toBe(1);
    expect(await other.ask('tasks/get', { taskId })).toMatchObject({ error: { code: -32602 } });
    gate.open();
    await until(() => server.load.running === 0);
  });
});

describe('Closing', () => {
  it('lets a result be fetched that is there by then, and ends with its sessions', async () => {
    const http = await serveAlone();
    const peer = await HttpPeer.open(http.url);
    const stream = await peer.listen();
    const gate = await newGate();
    const taskId = await peer.start('wait_for_file', { path: gate.path });
    const result = peer.ask('tasks/result', { taskId });
    await until(() => http.server.load.running === 1);
    const closed = http.close();
    onTestFinished(() => closed);
    gate.open();
    expect(await result).toMatchObject({ result: { content: [{ text: 'the file exists' }] } });
    await closed;
    await stream.rest();
    await expect(fetch(http.url)).rejects.toThrow('fetch failed');
  });

  it('begins no session, and says it is not ready: 503', async () => {
    const http = await serveAlone();
    const { origin } = new URL(http.url);
    expect((await fetch(`${origin}/readyz`)).status).toBe(200);
    const peer = await HttpPeer.open(http.url);
    const gate = await newGate();
    await peer.start('wait_for_file', { path: gate.path });
    await until(() => http.server.load.running === 1);
    const closed = http.close();
    expect((await fetch(`${origin}/readyz`)).status).toBe(503);
    expect((await fetch(`${origin}/healthz`)).status).toBe(200);
    expect((await new HttpPeer(http.url).post(INITIALIZE)).status).toBe(503);
    expect(await peer.ask('tools/call', callParams('echo', { text: 'a' }))).toMatchObject({
      error: { code: -32000 },
    });
    gate.open();
    await closed;
  });
});
