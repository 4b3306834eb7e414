import { existsSync, readFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { openPool, textOf } from './runs.ts';

const NEVER = 'new Promise(() => {})';
const SPIN = 'run: (_, { progress }) => { progress(1); while (true); }';
const WAIT = `run: (_, { progress }) => { progress(1); return ${NEVER}; }`;

describe.each(['thread', 'process'] as const)('A run in a %s', (isolation) => {
  const open = (tools: Record<string, string>, options = {}) => openPool(isolation, tools, options);

  it('is told which of its task it is', async () => {
    const { start } = await open({ tell: 'run: (_, { attempt }) => attempt' });
    const told = async (number: number) =>
      textOf(await (await start('tell', {}, { attempt: { number } })).ended);
    expect([await told(1), await told(3), await told(1)]).toEqual(['1', '3', '1']);
  });

  it('finds what the run before has kept, and nothing where none was', async () => {
    const { start } = await open({
      keep: `run: (_, { checkpoint, checkpointed }) => {
        if (checkpointed === undefined) checkpoint({ step: 3, list: [1, 'ä', null, { deep: true }], gone: undefined });
        return { checkpointed: checkpointed ?? 'nothing' };
      }`,
    });
    const first = await start('keep');
    expect(textOf(await first.ended)).toBe('{"checkpointed":"nothing"}');
    expect(first.checkpoints).toHaveLength(1);
    const [value] = first.checkpoints;
    const second = await start('keep', {}, { attempt: { number: 2, checkpointed: { value } } });
    const expected = { checkpointed: { step: 3, list: [1, 'ä', null, { deep: true }] } };
    expect((await second.ended).outcome).toMatchObject({ result: { structuredContent: expected } });
    expect(textOf(await (await start('keep')).ended)).toBe('{"checkpointed":"nothing"}');
  });

  it('keeps a value as it was at the call', async () => {
    const { start } = await open({
      keep: `run: async (_, { checkpoint, checkpointed }) => {
        if (checkpointed !== undefined) return checkpointed;
        const value = { steps: [1] };
        for (let step = 2; step < 4; step++) {
          checkpoint(value);
          value.steps.push(step);
        }
        await new Promise((resolve) => setTimeout(resolve, 100));
      }`,
    });
    const { ended, checkpoints } = await start('keep');
    await ended;
    const next = await start(
      'keep',
      {},
      { attempt: { number: 2, checkpointed: { value: checkpoints.at(-1) } } },
    );
    expect((await next.ended).outcome).toMatchObject({ result: { structuredContent: { steps: [1, 2] } } });
  });

  it.each(['run: (_, ctx) => {', 'run: async (_, ctx) => { await null;'])(
    'sends at most 20 checkpoints a second, and the last one always, before it has finished: %s',
    async (head) => {
      const { start } = await open({
        flood: `${head} for (let n = 1; n <= 300_000; n++) ctx.checkpoint(n); }`,
      });
      const began = performance.now();
      const { ended, events, checkpoints } = await start('flood');
      await ended;
      const ranMs = performance.now() - began;
      expect(checkpoints.at(-1)).toBe('300000');
      // The first and the last are sent at once.
      expect(checkpoints.length).toBeLessThanOrEqual(ranMs / 50 + 2);
      expect(events).toEqual([...checkpoints.map(() => 'checkpoint'), 'finished', 'left']);
    },
  );

  it('sends a checkpoint at once, whatever was reported just before, from a loop that never awaits', async () => {
    const { start } = await open({
      spin: `run: (_, { progress, checkpoint, signal }) => {
        progress(1);
        checkpoint('here');
        while (true) signal.throwIfAborted();
      }`,
    });
    const { run, events, ended } = await start('spin');
    while (!events.includes('checkpoint')) await new Promise(setImmediate);
    run.stop();
    expect(await ended).toEqual({ outcome: { type: 'cancelled' }, repeatable: undefined });
  });

  it.each([
    ['{ items: [{ price: NaN }] }', 'value.items.0.price: NaN is not a number that JSON has'],
    ['{ at: { n: 1n } }', 'value.at.n: a BigInt is not JSON'],
    ['[() => {}]', 'value.0: a function is not JSON'],
    ['new Map()', 'value: a Map is not JSON: make an object or an array of it'],
    ['(() => { const circle = {}; circle.self = circle; return circle; })()', 'value.self: is circular'],
    ["{ get bad() { throw new Error('no'); } }", 'value.bad: cannot be read: no'],
    ['undefined', 'value: undefined is not JSON'],
    ["'x'.repeat(2 ** 20 - 1)", 'value: 1048577 bytes as JSON, and 1048576 at most'],
    ["'ä'.repeat(2 ** 19)", 'value: 1048578 bytes as JSON, and 1048576 at most'],
  ])('refuses to keep %s, saying where and why, and keeps what it had', async (value, problem) => {
    const { start } = await open({
      keep: `run: (_, { checkpoint }) => {
        checkpoint('good');
        try { checkpoint(${value}); } catch (error) { return error instanceof TypeError && error.message; }
      }`,
    });
    const { ended, checkpoints } = await start('keep');
    expect(textOf(await ended)).toBe(`checkpoint: ${problem}`);
    expect(checkpoints).toEqual(['"good"']);
  });

  it('keeps what is just small enough, and numbers by their length', async () => {
    const { start } = await open({
      text: "run: (_, { checkpoint }) => checkpoint('x'.repeat(2 ** 20 - 2))",
      numbers: 'run: (_, { checkpoint }) => checkpoint(new Array(500_000).fill(1))',
    });
    const [text, numbers] = [await start('text'), await start('numbers')];
    expect((await text.ended).outcome).toMatchObject({ isError: false });
    expect((await numbers.ended).outcome).toMatchObject({ isError: false });
    expect(String(text.checkpoints[0])).toHaveLength(2 ** 20);
    expect(String(numbers.checkpoints[0])).toHaveLength(1_000_001);
  });

  it('keeps nothing after it has finished', async () => {
    const { start } = await open({
      late: "run: (_, { checkpoint }) => { setTimeout(checkpoint, 1, 'late'); }",
      wait: 'run: () => new Promise((resolve) => setTimeout(resolve, 50))',
    });
    const { ended, events } = await start('late');
    await ended;
    await (
      await start('wait')
    ).ended;
    expect(events).toEqual(['finished', 'left']);
  });

  describe('says that another may do better', () => {
    it.each([
      ['throws', "run: () => { throw new Error('no'); }", 'no'],
      ['rejects', "run: () => Promise.reject(new Error('no'))", 'no'],
      ['throws before it runs', "prepare: () => { throw new Error('no'); }", 'no'],
      ['runs out of time', `timeoutMs: 50, ${WAIT}`, 'fail timed out after 50 ms'],
      ['runs out of time and does not stop', `timeoutMs: 50, ${SPIN}`, 'fail timed out after 50 ms'],
      ['ends its thread', 'run: () => process.exit(7)', 'fail did not finish: the thread exited with code 7'],
      [
        'throws what nobody catches',
        `run: () => { setTimeout(() => { throw new Error('late'); }); return ${NEVER}; }`,
        'fail did not finish: late',
      ],
      [
        'leaves a rejection that nobody catches',
        `run: () => { void Promise.reject(new Error('late')); return ${NEVER}; }`,
        'fail did not finish: late',
      ],
      [
        'fills its heap',
        'maxMemoryMb: 64, run: () => { for (let all; ;) all = { all, more: Math.random() }; }',
        expect.stringMatching(/^fail did not finish: out of memory/),
      ],
    ])('where its tool %s', async (_, source, message) => {
      const { start } = await open({ fail: source });
      const { ended, hasLeft } = await start('fail');
      expect({ message: textOf(await ended), repeatable: (await ended).repeatable }).toEqual({
        message,
        repeatable: 'failed',
      });
      await hasLeft;
    });
  });

  describe('is final', () => {
    it.each([
      ['returns', 'run: () => {}', undefined],
      ['returns an error', "run: () => ({ content: [{ type: 'text', text: 'no' }], isError: true })", 'no'],
      [
        'is called with arguments that do not fit',
        "input: z.object({}).refine(() => false, 'never good')",
        'Invalid arguments: arguments: never good',
      ],
      [
        'checks its arguments with what throws',
        "input: z.object({}).refine(() => { throw new Error('no'); })",
        'no',
      ],
      [
        'returns what does not fit its output',
        "output: z.object({ n: z.int() }), run: () => ({ n: 'one' })",
        expect.stringContaining("The tool's result does not match its output schema: n:"),
      ],
      [
        'returns what is no JSON',
        'run: () => ({ n: 1n })',
        "The tool's result cannot be sent: result.n: a BigInt is not JSON",
      ],
    ])('where its tool %s', async (_, source, message) => {
      const { start } = await open({ end: `retry: { attempts: 9 }, ${source}` });
      const end = await (await start('end')).ended;
      expect(end.repeatable).toBeUndefined();
      expect(end.outcome).toMatchObject(
        message === undefined
          ? { isError: false }
          : { isError: true, result: { content: [{ text: message }] } },
      );
    });

    it('where its module does not load', async () => {
      const { start, folder } = await open({ gone: 'retry: { attempts: 9 }' });
      await rm(join(folder, 'gone.js'));
      const { outcome, repeatable } = await (await start('gone')).ended;
      expect({ isError: outcome.type === 'result' && outcome.isError, repeatable }).toEqual({
        isError: true,
        repeatable: undefined,
      });
    });

    it.each([
      ['and stops', 'while (true) signal.throwIfAborted();', 'cancelled'],
      ['and throws something else', "while (!signal.aborted); throw new Error('no');", 'cancelled'],
      [
        'and does not stop',
        'while (true);',
        'stop did not finish: the thread was ended because stop did not stop',
      ],
    ])('where it is told to stop %s', async (_, loop, text) => {
      const { start } = await open({
        stop: `retry: { attempts: 9 }, run: (_, { progress, signal }) => { progress(1); ${loop} }`,
      });
      const { run, running, ended, hasLeft } = await start('stop');
      await running;
      run.stop();
      run.stop();
      expect({ text: textOf(await ended), repeatable: (await ended).repeatable }).toEqual({
        text,
        repeatable: undefined,
      });
      await hasLeft;
    });
  });

  describe('asks its tool about an error', () => {
    const on = (answer: string) => `retry: { attempts: 3, on: (error) => ${answer} },`;
    const FAILS = {
      thrown: "run: () => { throw Object.assign(new Error('busy'), { code: 'EBUSY' }); }",
      'that nobody caught': `run: () => {
        setTimeout(() => { throw Object.assign(new Error('busy'), { code: 'EBUSY' }); });
        return ${NEVER};
      }`,
    };

    it.each(
      Object.entries(FAILS).flatMap(([kind, source]) => [
        [kind, on("error.code === 'EBUSY'"), 'failed', source] as const,
        [kind, on("error.code === 'EAGAIN'"), undefined, source] as const,
        [kind, on('error.message.match(/bus/)'), 'failed', source] as const,
        [kind, on('undefined'), undefined, source] as const,
      ]),
    )('%s, which decides by it: %s', async (_, retry, repeatable, source) => {
      const { start } = await open({ fail: retry + source });
      expect((await (await start('fail')).ended).repeatable).toBe(repeatable);
    });

    it.each([
      ["(() => { throw new Error('no answer'); })()", 'no answer'],
      ["Promise.reject(new Error('later'))", 'it has to answer at once, and gave a promise'],
    ])('and takes it for a no, and logs it, where that does not answer: %s', async (answer, words) => {
      const { start, warnings } = await open({ fail: on(answer) + FAILS.thrown, next: '' });
      const end = await (await start('fail')).ended;
      expect({ text: textOf(end), repeatable: end.repeatable }).toEqual({
        text: 'busy',
        repeatable: undefined,
      });
      expect(warnings).toEqual([
        expect.stringMatching(
          new RegExp(`^a tool threw .*Error: busy.*\`retry.on\` threw: .*Error: ${words}`),
        ),
      ]);
      // The thread has not been hurt.
      const first = (await start('next')).run.thread;
      await (
        await start('next')
      ).ended;
      expect((await start('next')).run.thread).toBe(first);
    });
  });

  it('is interrupted where its shared thread is ended for what another did', async () => {
    const { start } = await open(
      {
        block: `workload: 'io', run: (_, { progress }) => {
          progress(1);
          setTimeout(() => { while (true); });
          return ${NEVER};
        }`,
        victim: `workload: 'io', ${WAIT}`,
      },
      { graceMs: 50 },
    );
    const victim = await start('victim');
    await victim.running;
    const blocker = await start('block', {}, { timeoutMs: 50 });
    expect(await blocker.ended).toMatchObject({ repeatable: 'failed' });
    const end = await victim.ended;
    expect({ text: textOf(end), repeatable: end.repeatable }).toEqual({
      text: 'victim did not finish: the thread was ended because block did not stop',
      repeatable: 'interrupted',
    });
  });

  it('is interrupted where the pool is closed', async () => {
    const { pool, start } = await open({ spin: SPIN });
    const { running, ended } = await start('spin');
    await running;
    await pool.close();
    expect((await ended).repeatable).toBe('interrupted');
  });

  it('has left once its place is free, and not before', async () => {
    const { pool, start } = await open(
      {
        late: `workload: 'io', run: async (_, { progress }) => {
          progress(1);
          await new Promise((resolve) => { globalThis.finish = resolve; });
        }`,
        finish: "workload: 'io', run: () => { finish(); }",
      },
      { ioConcurrency: 2, graceMs: 20_000 },
    );
    const late = await start('late', {}, { timeoutMs: 50 });
    await late.ended;
    expect([late.events.includes('left'), pool.room('io')]).toEqual([false, 1]);
    await (
      await start('finish')
    ).ended;
    await late.hasLeft;
    expect(pool.room('io')).toBe(2);
  });

  it('is not mistaken for the one before of the same task, which has not stopped on the same thread', async () => {
    const { start } = await open(
      {
        overlap: `workload: 'io', run: async (_, { attempt, progress, checkpoint }) => {
          progress(1);
          if (attempt === 1) {
            await new Promise((resolve) => { globalThis.finish = resolve; });
            checkpoint('first');
            progress(2);
            return 'first';
          }
          finish();
          await new Promise((resolve) => setTimeout(resolve, 50));
          return 'second';
        }`,
      },
      { graceMs: 20_000 },
    );
    const taskId = 'the task';
    const first = await start('overlap', {}, { taskId, timeoutMs: 50 });
    expect((await first.ended).repeatable).toBe('failed');
    const second = await start('overlap', {}, { taskId, attempt: { number: 2 } });
    expect(second.run.thread).toBe(first.run.thread);
    await first.hasLeft;
    expect(textOf(await second.ended)).toBe('second');
    expect(second.events).toEqual(['progress', 'finished', 'left']);
  });
});

describe("A run in the tools' process", () => {
  it.each(['SIGSEGV', 'SIGKILL'])('is interrupted where that dies of %s, whoever did it', async (signal) => {
    const { start } = await openPool(
      'process',
      {
        die: `run: () => { process.kill(process.pid, '${signal}'); while (true); }`,
        wait: WAIT,
        wait_io: `workload: 'io', run: async (_, { progress, checkpoint }) => {
          checkpoint('here');
          progress(1);
          await ${NEVER};
        }`,
        next: '',
      },
      { threads: 2 },
    );
    const [wait, waitIo] = [await start('wait'), await start('wait_io')];
    await Promise.all([wait.running, waitIo.running]);
    const all = [await start('die'), wait, waitIo];
    const ends = await Promise.all(all.map(({ ended }) => ended));
    expect(ends.map(({ repeatable }) => repeatable)).toEqual(Array(3).fill('interrupted'));
    expect(ends.map(textOf)).toEqual(Array(3).fill(expect.stringContaining(`was ended by ${signal}`)));
    expect(waitIo.checkpoints).toEqual(['"here"']);
    expect((await (await start('next')).ended).outcome).toMatchObject({ isError: false });
  });

  it('fails alone where it takes more memory than the process may hold', async () => {
    const { start } = await openPool(
      'process',
      {
        fill: `run: async () => {
          for (const all = []; ; await new Promise(setImmediate)) all.push(Buffer.alloc(1e6, 1));
        }`,
      },
      { maxMemoryMb: 200 },
    );
    const end = await (await start('fill')).ended;
    expect({ text: textOf(end), repeatable: end.repeatable }).toEqual({
      text: expect.stringMatching(/^fill did not finish: out of memory: \d+ MB, limit 200 MB$/),
      repeatable: 'failed',
    });
  });
});

describe('A run that is blocked in native code', () => {
  it('has left, interrupted, when the pool is closed', async () => {
    const { pool, folder, start } = await openPool('thread', {
      block: `input: z.object({ started: z.string() }), run: async ({ started }) => {
        const { spawnSync } = await import('node:child_process');
        const child = "fs.writeFileSync(process.argv[1] + '.part', String(process.pid));" +
          "fs.renameSync(process.argv[1] + '.part', process.argv[1]); setInterval(() => {}, 1000);";
        spawnSync(process.execPath, ['-e', child, started]);
      }`,
    });
    const started = join(folder, 'started');
    const { ended, events } = await start('block', { started });
    while (!existsSync(started)) await new Promise(setImmediate);
    try {
      await pool.close();
      expect((await ended).repeatable).toBe('interrupted');
      expect(events).toEqual(['finished', 'left']);
    } finally {
      // What the thread waits for.
      process.kill(Number(readFileSync(started, 'utf8')));
    }
  });
});
