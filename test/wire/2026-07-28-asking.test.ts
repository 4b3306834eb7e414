import { createServer, type TaskServer } from 'mcp-taskpool';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { toolSource } from '../folder.ts';
import { ALL, TASKS, modernPeer, type ModernPeer } from './modern-peer.ts';
import { newGate } from './fixtures.ts';
import type { Json } from './peer.ts';

const SCHEMA = 'z.object({ value: z.string() })';
const ask = (message: string) => `input({ message: '${message}', requestedSchema: ${SCHEMA} })`;

const tools = {
  // Asks before it runs, and has to repeat itself.
  'first.js': toolSource(`
    input: z.object({ to: z.string() }),
    prepare: async ({ to }, { input, sample }) => {
      const one = await ${ask('One?')};
      if (one.action !== 'accept') return { to, one: one.action };
      const two = await ${ask('Two?')};
      const { content } = await sample({ messages: [{ role: 'user', content: { type: 'text', text: 'Three?' } }], maxTokens: 9 });
      return { to, one: one.content.value, two: two.content.value, three: content.text };
    },
    run: (prepared) => prepared`),
  'both.js': toolSource(`
    prepare: async (_, { input }) => {
      const [left, right] = await Promise.all([${ask('Left?')}, ${ask('Right?')}]);
      return { left: left.content.value, right: right.content.value };
    },
    run: (prepared) => prepared`),
  'lenient.js': toolSource(`
    prepare: (_, { sample }) => sample({ messages: [], maxTokens: 1 }).then(() => ({ sampled: true }), (error) => ({ sampled: false, message: error.message })),
    run: (prepared) => prepared`),
  'broken.js': toolSource("prepare: () => { throw new Error('cannot prepare') }, run: () => 'ran'"),
  'curious.js': toolSource(
    `prepare: async (_, { input }) => { for (;;) await ${ask('And?')}; }, run: () => 'ran'`,
  ),
  'direct.js': toolSource(
    `task: 'forbidden', prepare: async (_, { input }) => (await ${ask('Who?')}).content, run: (prepared) => prepared`,
  ),
  'named.js': toolSource(`
    prepare: async (_, { input }) => (await input({ key: 'who', message: 'Who?', requestedSchema: ${SCHEMA} })).content,
    run: (prepared) => prepared`),
  'misnamed.js': toolSource(`
    input: z.object({ how: z.enum(['twice', 'reserved', 'nameless']) }),
    run: ({ how }, { input }) => Promise.all(
      { twice: ['who', 'who'], reserved: ['input-2'], nameless: [''] }[how].map((key) =>
        input({ key, message: 'Who?', requestedSchema: ${SCHEMA} })))`),
  'gated.js': toolSource(
    `input: z.object({ path: z.string() }), run: async ({ path }, { input, signal }) => {
      while (!existsSync(path)) await setTimeout(5, undefined, { signal });
      return ${ask('One?')};
    }`,
    "import { existsSync } from 'node:fs'; import { setTimeout } from 'node:timers/promises';",
  ),
  // Asks while it runs.
  'midway.js': toolSource(`run: async (_, { input, progress }) => {
    progress(1);
    const one = await ${ask('One?')};
    const [two, three] = await Promise.all([${ask('Two?')}, ${ask('Three?')}]);
    return { values: [one, two, three].map((answer) => answer.action === 'accept' ? answer.content.value : answer.action) };
  }`),
};

let folder: string;
let server: TaskServer;
beforeAll(async () => {
  const root = fileURLToPath(new URL('../../dist/test-folders/', import.meta.url));
  await mkdir(root, { recursive: true });
  folder = await mkdtemp(join(root, 'tools-'));
  await Promise.all(Object.entries(tools).map(([name, source]) => writeFile(join(folder, name), source)));
  server = await createServer({ tools: folder, threads: 2, taskTools: true });
});
afterAll(async () => {
  await server.close({ drainMs: 0 });
  await rm(folder, { recursive: true, force: true });
});

const accept = (value: string) => ({ action: 'accept', content: { value } });
const poem = { role: 'assistant', model: 'm', content: { type: 'text', text: 'three' } };
const PLAIN = { elicitation: { form: {} }, sampling: {} };

describe.each(['HTTP', 'a channel'] as const)('2026-07-28 over %s, a tool that asks', (kind) => {
  let peer: ModernPeer;
  beforeAll(async () => {
    peer = await modernPeer(kind, server);
  });

  async function call(name: string, params: Json = {}, capabilities: Json = ALL): Promise<Json> {
    const { result, error } = await peer.request(
      'tools/call',
      { name, arguments: {}, ...params },
      { capabilities },
    );
    return (result ?? error)!;
  }

  async function reached(taskId: string, status: string): Promise<Json> {
    for (;;) {
      const { result } = await peer.request('tasks/get', { taskId });
      if (result!['status'] === status) return result!;
      await new Promise(setImmediate);
    }
  }

  it('before it runs has its answers, round by round, before there is a task', async () => {
    const args = { arguments: { to: 'Ann' } };
    const one = await call('first', args);
    expect(one).toMatchObject({
      resultType: 'input_required',
      requestState: expect.any(String),
      inputRequests: {
        'input-1': {
          method: 'elicitation/create',
          params: { mode: 'form', message: 'One?', requestedSchema: { type: 'object', required: ['value'] } },
        },
      },
    });
    expect(server.load).toEqual({ queued: 0, running: 0 });
    const answer = (last: Json, inputResponses: Json) =>
      call('first', { ...args, inputResponses, requestState: last['requestState'] as string });
    const two = await answer(one, { 'input-1': accept('one') });
    expect(Object.keys(two['inputRequests'] as Json)).toEqual(['input-2']);
    const three = await answer(two, { 'input-2': accept('two') });
    expect(three['inputRequests']).toMatchObject({ 'sample-3': { method: 'sampling/createMessage' } });
    const created = await answer(three, { 'sample-3': poem });
    expect(created).toMatchObject({ resultType: 'task' });
    await expect(reached(created['taskId'] as string, 'completed')).resolves.toMatchObject({
      result: { structuredContent: { to: 'Ann', one: 'one', two: 'two', three: 'three' } },
    });
  });

  it('is told that the user declined', async () => {
    const args = { arguments: { to: 'Ann' } };
    const { requestState } = await call('first', args, PLAIN);
    const inputResponses = { 'input-1': { action: 'decline' } };
    await expect(call('first', { ...args, inputResponses, requestState }, PLAIN)).resolves.toMatchObject({
      resultType: 'complete',
      structuredContent: { to: 'Ann', one: 'decline' },
    });
  });

  it('asks at once what it wants to know at once, and again for what is missing', async () => {
    const both = await call('both', {}, PLAIN);
    expect(Object.keys(both['inputRequests'] as Json)).toEqual(['input-1', 'input-2']);
    const answer = (last: Json, inputResponses: Json) =>
      call('both', { inputResponses, requestState: last['requestState'] as string }, PLAIN);
    const rest = await answer(both, {
      'input-2': accept('right'),
      'input-9': accept('?'),
      'input-1': { no: 1 },
    });
    expect(Object.keys(rest['inputRequests'] as Json)).toEqual(['input-1']);
    await expect(answer(rest, { 'input-1': accept('left') })).resolves.toMatchObject({
      structuredContent: { left: 'left', right: 'right' },
    });
  });

  it('is told what the client cannot be asked, and may do without', async () => {
    await expect(call('lenient', {}, { elicitation: {} })).resolves.toMatchObject({
      structuredContent: { sampled: false, message: 'The client does not support sampling' },
    });
  });

  it.each(['both', 'midway'])('refuses a client that it cannot do without: %s', async (name) => {
    await expect(call(name, {}, {})).resolves.toMatchObject({
      code: -32021,
      message: expect.stringContaining('does not support elicitation'),
      data: { requiredCapabilities: { elicitation: { form: {} } } },
    });
  });

  it('may name its questions, and takes an answer that comes before it has asked', async () => {
    const { inputRequests, requestState } = await call('named', {}, PLAIN);
    expect(inputRequests).toMatchObject({ who: { method: 'elicitation/create' } });
    const inputResponses = { who: accept('Ann'), nobody: accept('?') };
    for (const params of [{ inputResponses, requestState }, { inputResponses }]) {
      await expect(call('named', params, PLAIN)).resolves.toMatchObject({
        structuredContent: { value: 'Ann' },
      });
    }
  });

  it.each([
    ['twice', 'the key "who" is another question\'s'],
    ['reserved', 'keys such as "input-2" are the server\'s'],
    ['nameless', 'must be a string that is not empty'],
  ])('may not give a question a key that tells it from no other: %s', async (how, problem) => {
    const { taskId } = (await call('misnamed', { arguments: { how } })) as { taskId: string };
    const asked = await peer.request('tasks/update', { taskId, inputResponses: { who: accept('Ann') } });
    expect(asked.error).toBeUndefined();
    await expect(reached(taskId, 'completed')).resolves.toMatchObject({
      result: { isError: true, content: [{ text: expect.stringContaining(problem) }] },
    });
  });

  it('fails before there is a task, where what comes before it fails', async () => {
    const failed = await call('broken');
    expect(failed).toMatchObject({
      resultType: 'complete',
      isError: true,
      content: [{ text: 'cannot prepare' }],
    });
  });

  it('may not ask for ever before it runs', async () => {
    let last = await call('curious', {}, PLAIN);
    let rounds = 0;
    while (last['resultType'] === 'input_required') {
      rounds++;
      const [key] = Object.keys(last['inputRequests'] as Json);
      const inputResponses = { [key!]: accept('and') };
      last = await call('curious', { inputResponses, requestState: last['requestState'] as string }, PLAIN);
    }
    expect(rounds).toBe(100);
    expect(last).toMatchObject({
      isError: true,
      content: [{ text: expect.stringContaining('100 questions') }],
    });
  });

  it('that is never a task asks before it runs, too', async () => {
    const { requestState } = await call('direct');
    const inputResponses = { 'input-1': accept('Bob') };
    await expect(call('direct', { inputResponses, requestState })).resolves.toMatchObject({
      resultType: 'complete',
      structuredContent: { value: 'Bob' },
    });
  });

  it('refuses a state that is not its own, or is for another call', async () => {
    const invalid = expect.objectContaining({
      code: -32602,
      message: expect.stringMatching(/requestState/i),
    });
    const { requestState } = await call('first', { arguments: { to: 'Ann' } }, PLAIN);
    const inputResponses = { 'input-1': accept('x') };
    await expect(
      call('first', { arguments: { to: 'Bob' }, inputResponses, requestState }, PLAIN),
    ).resolves.toEqual(invalid);
    await expect(call('both', { inputResponses, requestState }, PLAIN)).resolves.toEqual(invalid);
    // Not its last character, some of whose bits say nothing in base64.
    const middle = Math.floor((requestState as string).length / 2);
    const changed = (requestState as string)[middle] === 'A' ? 'B' : 'A';
    const forged = `${(requestState as string).slice(0, middle)}${changed}${(requestState as string).slice(middle + 1)}`;
    await expect(call('first', { arguments: { to: 'Ann' }, requestState: forged }, PLAIN)).resolves.toEqual(
      invalid,
    );
  });

  it('while it runs as a task has what it asks in the task, and its answers by update', async () => {
    const { taskId } = (await call('midway')) as { taskId: string };
    const asks = await reached(taskId, 'input_required');
    expect(asks['inputRequests']).toMatchObject({
      'input-1': { method: 'elicitation/create', params: { message: 'One?' } },
    });
    const update = (inputResponses: Json) => peer.request('tasks/update', { taskId, inputResponses });
    await expect(update({ 'input-7': accept('?') })).resolves.toHaveProperty('result.resultType', 'complete');
    await expect(update({ 'input-7': { no: 1 } })).resolves.toHaveProperty('result.resultType', 'complete');
    const wrong = await update({ 'input-1': { no: 1 } });
    expect(wrong.error).toMatchObject({ code: -32602, message: expect.stringContaining('input-1') });
    await update({ 'input-1': accept('one') });
    const keysOf = async () =>
      Object.keys(((await reached(taskId, 'input_required'))['inputRequests'] ?? {}) as Json);
    await expect.poll(keysOf).toEqual(['input-2', 'input-3']);
    await update({ 'input-1': accept('again'), 'input-3': { action: 'cancel' } });
    await expect(keysOf()).resolves.toEqual(['input-2']);
    await update({ 'input-2': accept('two') });
    await expect(reached(taskId, 'completed')).resolves.toMatchObject({
      result: { structuredContent: { values: ['one', 'two', 'cancel'] } },
    });
  });

  it('tells those who listen what it asks', async () => {
    const { taskId } = (await call('midway')) as { taskId: string };
    const stream = await peer.listen({ taskIds: [taskId] });
    const told = async (isIt: (task: Json) => boolean) => {
      for (;;) {
        const { params } = (await stream.next())!;
        if (isIt(params as Json)) return params as Json;
      }
    };
    const asks = (count: number) => (task: Json) =>
      Object.keys((task['inputRequests'] ?? {}) as Json).length === count;
    await told(asks(1));
    await peer.request('tasks/update', { taskId, inputResponses: { 'input-1': accept('one') } });
    await told(asks(2));
    await peer.request('tasks/cancel', { taskId });
    await expect(told(({ status }) => status === 'cancelled')).resolves.not.toHaveProperty('inputRequests');
    stream.stop();
  });

  it('is answered for a client that cannot be asked while it runs', async () => {
    const capabilities = { extensions: { [TASKS]: {} } };
    const { taskId } = (await call('midway', {}, capabilities)) as { taskId: string };
    await expect(reached(taskId, 'completed')).resolves.toMatchObject({
      result: { isError: true, content: [{ text: expect.stringContaining('does not support elicitation') }] },
    });
  });

  it('shows nobody what its client cannot be asked', async () => {
    const gate = await newGate();
    const capabilities = { extensions: { [TASKS]: {} } };
    const args = { arguments: { path: gate.path } };
    const { taskId } = (await call('gated', args, capabilities)) as { taskId: string };
    const stream = await peer.listen({ taskIds: [taskId] });
    gate.open();
    const heard: Json[] = [];
    while (heard.at(-1)?.['status'] !== 'completed') heard.push((await stream.next())!['params'] as Json);
    expect(heard.map(({ status }) => status as string)).not.toContain('input_required');
    expect(heard.filter((task) => 'inputRequests' in task)).toEqual([]);
    stream.stop();
  });

  it('while it runs as a plain call goes on when the call is made again with the answers', async () => {
    const one = await call('midway', {}, PLAIN);
    expect(Object.keys(one['inputRequests'] as Json)).toEqual(['input-1']);
    expect(server.load.running).toBe(1);
    const answer = (last: Json, inputResponses: Json) =>
      call('midway', { inputResponses, requestState: last['requestState'] as string }, PLAIN);
    const two = await answer(one, { 'input-1': accept('one') });
    expect(Object.keys(two['inputRequests'] as Json)).toEqual(['input-2', 'input-3']);
    const three = await answer(two, { 'input-2': accept('two') });
    expect(Object.keys(three['inputRequests'] as Json)).toEqual(['input-3']);
    const done = await answer(three, { 'input-3': accept('three') });
    expect(done).toMatchObject({ structuredContent: { values: ['one', 'two', 'three'] } });
    // It is over: nobody waits with that state any more.
    await expect(answer(three, { 'input-3': accept('three') })).resolves.toMatchObject({ code: -32602 });
    expect(server.load).toEqual({ queued: 0, running: 0 });
  });

  it('in a task of the task tools asks when the task is checked, and goes on with the answers', async () => {
    const { tools } = (await peer.request('tools/list')).result!;
    expect((tools as Json[]).map(({ name }) => name as string)).toContain('check_task');
    const started = await call('start_task', { arguments: { tool: 'midway' } }, PLAIN);
    const { taskId } = started['structuredContent'] as { taskId: string };
    const check = (params: Json = {}) =>
      call('check_task', { arguments: { taskId, waitSeconds: 50 }, ...params }, PLAIN);
    const one = await check();
    expect(one).toMatchObject({ resultType: 'input_required' });
    expect(Object.keys(one['inputRequests'] as Json)).toEqual(['input-1']);
    const answer = (last: Json, inputResponses: Json) =>
      check({ inputResponses, requestState: last['requestState'] as string });
    const two = await answer(one, { 'input-1': accept('one') });
    expect(Object.keys(two['inputRequests'] as Json)).toEqual(['input-2', 'input-3']);
    const done = await answer(two, { 'input-2': accept('two'), 'input-3': accept('three') });
    expect(done).toMatchObject({
      resultType: 'complete',
      structuredContent: { status: 'completed', result: { values: ['one', 'two', 'three'] } },
    });
  });
});
