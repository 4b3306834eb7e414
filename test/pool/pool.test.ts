import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { InMemoryTransport } from '@modelcontextprotocol/sdk/inMemory.js';
import { createServer, type ServerOptions } from 'mcp-taskpool';
import { describe, expect, it, onTestFinished } from 'vitest';
import { folderWith, toolSource } from '../folder.ts';
import { metaOf, serve as serveWith } from './serve.ts';

const SPIN = 'run: (_, { progress }) => { progress(1); while (true); }';
const SPIN_UNTIL_STOPPED =
  'run: (_, { progress, signal }) => { progress(1); while (true) signal.throwIfAborted(); }';
const QUICK = "run: () => 'quick'";
const QUICK_IO = "workload: 'io', run: () => 'quick'";

describe.each(['thread', 'process'] as const)('The pool, isolated by %s', (isolation) => {
  const serve = (tools: Record<string, string>, options: Partial<ServerOptions> = {}) =>
    serveWith(tools, { isolation, ...options });

  it('runs CPU tasks at the same time, each alone on its thread', async () => {
    // Each waits in a synchronous loop until the other has started.
    const meet = `input: z.object({ mine: z.string(), theirs: z.string() }), run: ({ mine, theirs }) => {
      writeFileSync(mine, '');
      while (!existsSync(theirs));
      return 'met';
    }`;
    const folder = await folderWith({
      'meet.js': toolSource(meet, "import { existsSync, writeFileSync } from 'node:fs';"),
    });
    const server = await createServer({ tools: folder, threads: 2, isolation });
    onTestFinished(() => server.close({ drainMs: 0 }));
    const [near, far] = InMemoryTransport.createLinkedPair();
    await server.connect(far);
    const client = new Client({ name: 'test', version: '1' });
    await client.connect(near);
    const results = await Promise.all(
      [
        ['a', 'b'],
        ['b', 'a'],
      ].map(([mine, theirs]) =>
        client.callTool({
          name: 'meet',
          arguments: { mine: `${folder}/${mine}`, theirs: `${folder}/${theirs}` },
        }),
      ),
    );
    expect(new Set(results.map((result) => metaOf(result).thread)).size).toBe(2);
  });

  it('runs io tasks while every CPU thread is busy, many on one thread', async () => {
    const { connect } = await serve({
      spin: SPIN,
      // Each resolves when all five have started.
      meet: "workload: 'io', run: async () => { globalThis.met ??= []; await new Promise((resolve) => { met.push(resolve); if (met.length === 5) met.forEach((go) => go()); }); return 'met'; }",
    });
    const client = await connect();
    await client.running(await client.start('spin'));
    const tasks = await Promise.all(Array.from({ length: 5 }, () => client.start('meet')));
    const results = await Promise.all(tasks.map(client.result));
    expect(new Set(results.map((result) => metaOf(result).thread)).size).toBe(1);
  });

  it("starts another owner's first task before the rest of a long queue", async () => {
    const { connect } = await serve({ spin: SPIN_UNTIL_STOPPED, quick: QUICK });
    const [ada, bob] = [await connect('ada'), await connect('bob')];
    const first = await ada.start('spin');
    const queued = await Promise.all(Array.from({ length: 1000 }, () => ada.start('quick')));
    const task = await bob.start('quick');
    expect((await bob.get(task)).statusMessage).toBe('queued, 1 ahead');
    await ada.cancel(first);
    await bob.result(task);
    const ended = await Promise.all(
      queued.map(async (taskId) => (await ada.get(taskId)).status === 'completed'),
    );
    expect(ended.filter(Boolean).length).toBeLessThan(1000);
  });

  it('sends at most 20 progress messages a second and task, and the last value always', async () => {
    const { connect } = await serve({
      flood: 'run: (_, { progress }) => { for (let n = 1; n <= 1_000_000; n++) progress(n, 1_000_000); }',
    });
    const client = await connect();
    const { ranMs } = metaOf(await client.result(await client.start('flood')));
    const values = client.received
      .filter(({ method }) => method === 'notifications/progress')
      .map(({ params }) => params!['progress'] as number);
    expect(values.at(-1)).toBe(1_000_000);
    expect(values).toEqual(values.toSorted((a, b) => a - b));
    // The first and the last are sent at once.
    expect(values.length).toBeLessThanOrEqual(ranMs! / 50 + 2);
  });

  it('sends log messages in batches, and says how many it dropped', async () => {
    const { connect } = await serve({
      flood: "run: (_, { log }) => { for (let n = 1; n <= 100_000; n++) log('info', `line ${n}`); }",
    });
    const client = await connect();
    const { ranMs } = metaOf(await client.result(await client.start('flood')));
    const lines = client.received
      .filter(({ method }) => method === 'notifications/message')
      .map(({ params }) => params!['data'] as string);
    expect(lines[0]).toBe('line 1');
    expect(lines.some((line) => /^\d+ log messages dropped$/.test(line))).toBe(true);
    expect(lines.length).toBeLessThanOrEqual((ranMs! / 50 + 2) * 101);
  });

  it('stops a loop that looks at its signal, and keeps its thread', async () => {
    const { connect } = await serve({ spin: SPIN_UNTIL_STOPPED, quick: QUICK }, { graceMs: 20_000 });
    const client = await connect();
    const task = await client.start('spin');
    await client.running(task);
    expect((await client.cancel(task)).status).toBe('cancelled');
    const { thread } = metaOf(await client.result(await client.start('quick')));
    expect(thread).toBe(metaOf(await client.get(task)).thread);
  });

  it('ends the thread of a loop that does not, and starts another', async () => {
    const { connect } = await serve({ spin: SPIN, quick: QUICK }, { graceMs: 50 });
    const client = await connect();
    const task = await client.start('spin');
    await client.running(task);
    expect((await client.cancel(task)).status).toBe('cancelled');
    const { thread } = metaOf(await client.result(await client.start('quick')));
    expect(thread).not.toBe(metaOf(await client.get(task)).thread);
  });

  it('has no more threads than before after a task that stops late, but in time', async () => {
    const { connect } = await serve(
      {
        late: `run: (_, { progress, signal }) => {
          progress(1);
          while (!signal.aborted);
          const until = Date.now() + 300;
          while (Date.now() < until);
        }`,
        wait: 'run: (_, { progress }) => { progress(1); return new Promise(() => {}); }',
      },
      { graceMs: 400 },
    );
    const client = await connect();
    const late = await client.start('late');
    await client.running(late);
    await client.cancel(late);
    const [first, second] = [await client.start('wait'), await client.start('wait')];
    await client.running(first);
    expect((await client.get(second)).statusMessage).toBe('queued, 0 ahead');
  });

  it('gives no task to a thread that it has started in vain', async () => {
    const { connect } = await serve(
      {
        late: `run: (_, { progress, signal }) => {
          progress(1);
          while (!signal.aborted);
          for (const until = Date.now() + 30; Date.now() < until;);
        }`,
        spin: SPIN,
        quick: QUICK,
      },
      { graceMs: 50 },
    );
    const client = await connect();
    for (let round = 0; round < 20; round++) {
      // The first stops in time, after another thread was started in its thread's place; the second does not.
      for (const name of ['late', 'spin']) {
        const task = await client.start(name);
        await client.running(task);
        await client.cancel(task);
      }
      expect((await client.result(await client.start('quick'))).content).toMatchObject([{ text: 'quick' }]);
    }
  });

  it('replaces a thread after as many tasks as it may serve', async () => {
    const { connect } = await serve({ quick: QUICK, quick_io: QUICK_IO }, { recycleAfter: 2 });
    const client = await connect();
    for (const tool of ['quick', 'quick_io']) {
      const threads: (number | undefined)[] = [];
      for (let n = 0; n < 6; n++) threads.push(metaOf(await client.result(await client.start(tool))).thread);
      expect(threads[1]).toBe(threads[0]);
      expect(threads[3]).toBe(threads[2]);
      expect(new Set(threads).size).toBe(3);
    }
  });

  it('gives tools with one memory limit one thread, and a tool with another limit another', async () => {
    const limit = 'run: () => v8.getHeapStatistics().heap_size_limit';
    const before = "import v8 from 'node:v8';";
    const folder = await folderWith({
      'small.js': toolSource(`maxMemoryMb: 64, ${limit}`, before),
      'small_too.js': toolSource(`maxMemoryMb: 64, ${limit}`, before),
      'large.js': toolSource(`maxMemoryMb: 256, ${limit}`, before),
    });
    const server = await createServer({ tools: folder, threads: 1, isolation });
    onTestFinished(() => server.close({ drainMs: 0 }));
    const [near, far] = InMemoryTransport.createLinkedPair();
    await server.connect(far);
    const client = new Client({ name: 'test', version: '1' });
    await client.connect(near);
    const run = async (name: string) => {
      const { content, ...result } = await client.callTool({ name });
      return {
        mb: Number((content as { text: string }[])[0]!.text) / 2 ** 20,
        thread: metaOf(result).thread,
      };
    };
    const [small, too, large, again] = [
      await run('small'),
      await run('small_too'),
      await run('large'),
      await run('small'),
    ];
    expect(too).toEqual(small);
    expect(large.mb - small.mb).toBeCloseTo(256 - 64, 0);
    expect(large.thread).not.toBe(small.thread);
    expect(again.mb).toBe(small.mb);
  });

  it('never starts a queued task that was cancelled', async () => {
    const folder = await folderWith({});
    const { connect } = await serve({
      spin: SPIN_UNTIL_STOPPED,
      leave_trace: `input: z.object({ path: z.string() }), run: async ({ path }) => {
        const { writeFileSync } = await import('node:fs');
        writeFileSync(path, '');
      }`,
      look: `input: z.object({ path: z.string() }), run: async ({ path }) => {
        const { existsSync } = await import('node:fs');
        return String(existsSync(path));
      }`,
    });
    const client = await connect();
    const spin = await client.start('spin');
    const queued = await client.start('leave_trace', { path: `${folder}/trace` });
    await client.cancel(queued);
    await client.cancel(spin);
    // It would have had its turn before this one.
    const result = await client.result(await client.start('look', { path: `${folder}/trace` }));
    expect(result.content).toEqual([{ type: 'text', text: 'false' }]);
    expect(metaOf(await client.get(queued)).thread).toBeUndefined();
  });

  it('lets the others on a shared thread finish when one of them does not stop', async () => {
    const { connect } = await serve(
      {
        deaf: "workload: 'io', run: (_, { progress }) => { progress(1); return new Promise(() => {}); }",
        steady: `workload: 'io', run: async (_, { progress, signal }) => {
          progress(1);
          await new Promise((resolve) => { globalThis.finish = resolve; });
          return 'finished';
        }`,
        // Ends the steady one, where it runs on the same thread.
        nudge:
          "workload: 'io', run: () => { globalThis.finish?.(); return globalThis.finish ? 'same' : 'other'; }",
      },
      // A thread that answers late, on a busy machine, is taken for a blocked one.
      { graceMs: 500 },
    );
    const client = await connect();
    const [deaf, steady] = [await client.start('deaf'), await client.start('steady')];
    await Promise.all([client.running(deaf), client.running(steady)]);
    await client.cancel(deaf);
    const nudge = async (): Promise<string> => {
      const { content } = await client.result(await client.start('nudge'));
      return (content[0] as { text: string }).text;
    };
    // The deaf one is on the thread until its grace is over; then new tasks go to another.
    expect(await nudge()).toBe('same');
    expect((await client.result(steady)).content).toEqual([{ type: 'text', text: 'finished' }]);
    while ((await nudge()) === 'same');
  });

  it('ends a shared thread that one of its tasks blocks, and says who did it', async () => {
    const { connect } = await serve(
      {
        blocker:
          "workload: 'io', run: (_, { progress }) => { progress(1); setTimeout(() => { while (true); }, 0); return new Promise(() => {}); }",
        victim: "workload: 'io', run: (_, { progress }) => { progress(1); return new Promise(() => {}); }",
        quick: QUICK_IO,
      },
      { graceMs: 50 },
    );
    const client = await connect();
    const victim = await client.start('victim');
    // Its module is loaded by then: the blocker leaves no time for that.
    await client.running(victim);
    const blocker = await client.start('blocker');
    await client.running(blocker);
    await client.cancel(blocker);
    await expect(client.result(victim)).rejects.toThrow(
      'victim did not finish: the thread was ended because blocker did not stop',
    );
    expect((await client.result(await client.start('quick'))).content).toEqual([
      { type: 'text', text: 'quick' },
    ]);
  });

  it.each([
    ['process.exit(7)', 'the thread exited with code 7'],
    ["setTimeout(() => { throw new Error('thrown late'); }); return new Promise(() => {});", 'thrown late'],
    ["void Promise.reject(new Error('nobody caught it')); return new Promise(() => {});", 'nobody caught it'],
  ])('fails only the task whose code does %s, with the cause, and goes on', async (body, cause) => {
    const { connect } = await serve({ die: `run: () => { ${body} }`, quick: QUICK });
    const client = await connect();
    const [dying, next] = [await client.start('die'), await client.start('quick')];
    await expect(client.result(dying)).rejects.toThrow(`die did not finish: ${cause}`);
    expect((await client.get(dying)).status).toBe('failed');
    expect((await client.result(next)).content).toEqual([{ type: 'text', text: 'quick' }]);
  });

  it('fails a task that runs longer than its timeout, counted from its start, and frees the thread', async () => {
    const { connect } = await serve({ spin: `timeoutMs: 100, ${SPIN}`, quick: QUICK }, { graceMs: 50 });
    const client = await connect();
    const [spin, second, quick] = [
      await client.start('spin'),
      await client.start('spin'),
      await client.start('quick'),
    ];
    await expect(client.result(spin)).rejects.toThrow('spin timed out after 100 ms');
    await expect(client.result(second)).rejects.toThrow('spin timed out after 100 ms');
    expect(metaOf(await client.get(second)).ranMs).toBeGreaterThanOrEqual(95);
    expect((await client.result(quick)).content).toEqual([{ type: 'text', text: 'quick' }]);
  });

  it('on close fails what waits, lets what runs finish, and refuses what comes', async () => {
    const { server, connect } = await serve({
      finish: `run: async (_, { progress }) => {
        progress(1);
        await new Promise((resolve) => setTimeout(resolve, 200));
        return 'finished';
      }`,
    });
    const client = await connect();
    const [running, queued] = [await client.start('finish'), await client.start('finish')];
    await client.running(running);
    const results = Promise.allSettled([running, queued].map(client.result));
    const closed = server.close();
    await expect(client.start('finish')).rejects.toThrow('The server is closing and takes no new work');
    await closed;
    const [first, second] = await results;
    expect(first).toMatchObject({ value: { content: [{ text: 'finished' }] } });
    expect(String((second as PromiseRejectedResult).reason)).toContain('interrupted: the server is closing');
  });

  it('on close ends what does not finish in time', async () => {
    const { server, connect } = await serve({ spin: SPIN });
    const client = await connect();
    const task = await client.start('spin');
    await client.running(task);
    const results = Promise.allSettled([client.result(task)]);
    await server.close({ drainMs: 10 });
    const [result] = await results;
    expect(String((result as PromiseRejectedResult).reason)).toContain('interrupted: the server is closing');
  });
});
