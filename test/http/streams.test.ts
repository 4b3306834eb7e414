import { Server } from '@modelcontextprotocol/sdk/server/index.js';
import { serveHttp, type Served } from 'mcp-taskpool';
import { describe, expect, it, onTestFinished } from 'vitest';
import { folderWith, toolSource } from '../folder.ts';
import { newGate, until } from '../wire/fixtures.ts';
import { callParams, type Json } from '../wire/peer.ts';
import { HttpPeer, SseStream } from './http-peer.ts';
import { serveAlone, serveOnce } from './serve.ts';

const methodOf = ({ message }: { message: Json }) => message['method'] as string;

/** Sends a call with a progress token, and gives its stream. */
async function call(peer: HttpPeer, id: string, name: string, args: Json): Promise<SseStream> {
  const params = callParams(name, args, undefined, `token of ${id}`);
  return new SseStream(await peer.post({ jsonrpc: '2.0', id, method: 'tools/call', params }));
}

describe('The standalone stream (2025-11-25, transports, "Listening for Messages from the Server")', () => {
  it('carries what is told of tasks, each with its id', async () => {
    const { url } = await serveOnce();
    const peer = await HttpPeer.open(url);
    const stream = await peer.listen();
    const taskId = await peer.start('echo', { text: 'a' });
    const { id, message } = await stream.message();
    expect(id).toMatch(/^\S+$/);
    expect(message).toMatchObject({ method: 'notifications/tasks/status', params: { taskId } });
  });

  it('carries what came before somebody listened, once', async () => {
    const { url } = await serveOnce();
    const peer = await HttpPeer.open(url);
    const missed = await peer.start('echo', { text: 'missed' });
    await peer.ask('tasks/result', { taskId: missed });
    const heard = async (stream: SseStream, taskId: string) => {
      const heard: Json[] = [];
      const isEnd = ({ params }: Json) => params.taskId === taskId && params.status === 'completed';
      while (!heard.some(isEnd)) heard.push((await stream.message()).message);
      return new Set(heard.map(({ params }) => params.taskId as string));
    };
    const stream = await peer.listen();
    expect(await heard(stream, missed)).toEqual(new Set([missed]));
    await stream.cancel();
    let again: Response;
    // Once the server has seen that the first is over.
    await until(async () => (again = await peer.fetch('GET')).ok);
    const later = await peer.start('echo', { text: 'later' });
    expect(await heard(new SseStream(again!), later)).toEqual(new Set([later]));
  });

  it('is one a session: 409', async () => {
    const { url } = await serveOnce();
    const peer = await HttpPeer.open(url);
    await peer.listen();
    expect((await peer.fetch('GET')).status).toBe(409);
  });

  it('needs a client that accepts event streams: 406', async () => {
    const { url } = await serveOnce();
    const peer = await HttpPeer.open(url);
    expect((await peer.fetch('GET', { accept: 'application/json' })).status).toBe(406);
  });
});

describe('Resumption (2025-11-25, transports, "Resumability and Redelivery")', () => {
  it('sends what the standalone stream has missed, in order and once, and then goes on', async () => {
    const { url } = await serveOnce();
    const peer = await HttpPeer.open(url);
    const response = await peer.fetch('GET');
    const stream = new SseStream(response);
    const first = await peer.start('echo', { text: 'first' });
    let last = await stream.message();
    while (last.message['params'].status !== 'completed') last = await stream.message();
    expect(last.message['params'].taskId).toBe(first);
    const missed = [await peer.start('echo', { text: 'a' }), await peer.start('echo', { text: 'b' })];
    for (const taskId of missed) await peer.ask('tasks/result', { taskId });
    const again = await peer.listen(last.id);
    const later = await peer.start('echo', { text: 'later' });
    const heard: Json[] = [];
    const hasEnded = ({ params }: Json) => params.taskId === later && params.status === 'completed';
    while (!heard.some(hasEnded)) heard.push((await again.message()).message);
    const ends = heard.filter(({ params }) => params.status === 'completed');
    expect(ends.map(({ params }) => params.taskId)).toEqual([...missed, later]);
  });

  it("sends a call's progress and response on the stream that is resumed, not on another", async () => {
    const { url } = await serveAlone({}, { threads: 2 });
    const peer = await HttpPeer.open(url);
    const [gate, other] = [await newGate(), await newGate()];
    const stream = await call(peer, 'one', 'wait_for_file', { path: gate.path });
    const { id } = await stream.next();
    const otherStream = await call(peer, 'two', 'wait_for_file', { path: other.path });
    other.open();
    expect(await otherStream.rest()).toMatchObject([{ id: 'two' }]);
    const resumed = await peer.listen(id);
    gate.open();
    expect(await resumed.rest()).toMatchObject([
      { id: 'one', result: { content: [{ text: 'the file exists' }] } },
    ]);
  });

  it('sends a response that came while nobody listened, and ends the stream', async () => {
    const { url, server } = await serveAlone();
    const peer = await HttpPeer.open(url);
    const gate = await newGate();
    const response = await peer.post({
      jsonrpc: '2.0',
      id: 'call',
      method: 'tools/call',
      params: callParams('wait_for_file', { path: gate.path }),
    });
    const { id } = await new SseStream(response).next();
    gate.open();
    await until(() => server.load.running === 0);
    await peer.ask('ping');
    expect(await (await peer.listen(id)).rest()).toMatchObject([{ id: 'call', result: {} }]);
    // As often as it is asked for.
    expect(await (await peer.listen(id)).rest()).toMatchObject([{ id: 'call', result: {} }]);
  });

  it('is refused where messages have been lost since, or the event is not known: 400', async () => {
    const { url } = await serveOnce({ limits: { maxEvents: 4 } });
    const peer = await HttpPeer.open(url);
    const first = await call(peer, 'first', 'echo', { text: 'a' });
    const { id } = await first.next();
    await first.rest();
    for (let n = 0; n < 5; n++) await peer.ask('ping');
    for (const unknown of [id!, 'nonsense', '_GET_stream_1', `${id}0`]) {
      const response = await peer.fetch('GET', { 'last-event-id': unknown });
      expect(response.status).toBe(400);
      expect(await response.json()).toMatchObject({ error: { message: /Last-Event-ID/ } });
    }
  });

  it('is not refused for what other streams have lost', async () => {
    const { url } = await serveOnce({ limits: { maxEvents: 4 } });
    const peer = await HttpPeer.open(url);
    const gate = await newGate();
    const stream = await call(peer, 'slow', 'wait_for_file', { path: gate.path });
    const { id } = await stream.next();
    for (let n = 0; n < 10; n++) await peer.ask('ping');
    const resumed = await peer.listen(id);
    gate.open();
    expect(await resumed.rest()).toMatchObject([{ id: 'slow', result: {} }]);
  });

  it('keeps no message that is larger than what is kept, so that memory has a bound', async () => {
    const { url } = await serveOnce({ limits: { maxEventBytes: 1000 } });
    const peer = await HttpPeer.open(url);
    const small = await call(peer, 'small', 'echo', { text: 'a' });
    const { id: smallId } = await small.next();
    await small.rest();
    const large = await call(peer, 'large', 'echo', { text: 'a'.repeat(1000) });
    const { id: largeId } = await large.next();
    await large.rest();
    expect((await peer.fetch('GET', { 'last-event-id': largeId! })).status).toBe(400);
    expect(await (await peer.listen(smallId)).rest()).toMatchObject([{ id: 'small' }]);
  });

  it("is not for another session's streams", async () => {
    const { url } = await serveOnce();
    const [one, two] = [await HttpPeer.open(url), await HttpPeer.open(url)];
    const stream = await call(one, 'call', 'echo', { text: 'secret' });
    const { id } = await stream.next();
    expect((await two.fetch('GET', { 'last-event-id': id! })).status).toBe(400);
  });

  it('takes over a stream that the server believes to be open still', async () => {
    const { url } = await serveOnce();
    const peer = await HttpPeer.open(url);
    const stream = await peer.listen();
    const taskId = await peer.start('echo', { text: 'a' });
    const { id } = await stream.message();
    await peer.ask('tasks/result', { taskId });
    const again = await peer.listen(id);
    // It may have had more than the one message by now; then it ends.
    await stream.rest();
    const later = await peer.start('echo', { text: 'later' });
    while (methodOf(await again.message()) !== 'notifications/tasks/status');
    expect(await peer.ask('tasks/result', { taskId: later })).toHaveProperty('result');
  });
});

describe('A question of a task', () => {
  const tools = {
    'confirm.js': toolSource(
      `run: async (_, { input }) =>
        (await input({ message: 'Sure?', requestedSchema: z.object({ sure: z.boolean() }) })).content.sure ? 'yes' : 'no'`,
    ),
  };

  it('is put again to who asks for the result again, when the stream it was put on was cut', async () => {
    const { url } = await serveAlone({}, { tools: await folderWith(tools) });
    const peer = await HttpPeer.open(url, {}, { elicitation: {} });
    const taskId = await peer.start('confirm');
    const result = async (id: string) => {
      const response = await peer.post({ jsonrpc: '2.0', id, method: 'tasks/result', params: { taskId } });
      const stream = new SseStream(response);
      let { message } = await stream.message();
      while (message['method'] !== 'elicitation/create') ({ message } = await stream.message());
      return { stream, message };
    };
    const first = await result('first');
    expect(first.message['params']).toMatchObject({ message: 'Sure?' });
    await first.stream.cancel();
    const second = await result('second');
    expect(second.message['params']).toEqual(first.message['params']);
    const answer = { action: 'accept', content: { sure: true } };
    const { status } = await peer.post({ jsonrpc: '2.0', id: second.message['id'], result: answer });
    expect(status).toBe(202);
    const last = (await second.stream.rest()).at(-1);
    expect(last).toMatchObject({ id: 'second', result: { content: [{ text: 'yes' }] } });
  });
});

describe('A client that does not read its stream', () => {
  it('loses it, rather than that what it does not read piles up', async () => {
    const servers: Server[] = [];
    const talkative: Served = {
      async connect(transport) {
        const server = new Server({ name: 'talkative', version: '1' }, { capabilities: { logging: {} } });
        servers.push(server);
        await server.connect(transport);
      },
      modern: () => Promise.reject(new Error('not modern')),
      close: async () => void (await Promise.all(servers.map((server) => server.close()))),
    };
    const http = await serveHttp(talkative);
    onTestFinished(() => http.close());
    const peer = await HttpPeer.open(http.url);
    const stream = await peer.listen();
    const sent = 40_000;
    for (let n = 0; n < sent; n++) {
      await servers[0]!.sendLoggingMessage({ level: 'info', data: `${n} ${'.'.repeat(1000)}` });
    }
    const received = await stream.rest();
    expect(received.length).toBeGreaterThan(1000);
    expect(received.length).toBeLessThan(sent);
    expect((await peer.ask('ping'))['result']).toEqual({});
  });
});
