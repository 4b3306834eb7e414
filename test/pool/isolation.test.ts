import { describe, expect, it } from 'vitest';
import { metaOf, serve as serveWith } from './serve.ts';

const serve = (tools: Record<string, string>, threads = 1) =>
  serveWith(tools, { isolation: 'process', threads });

const PID = "workload: 'io', run: () => String(process.pid)";
const SEGFAULT = "run: () => process.kill(process.pid, 'SIGSEGV')";
const QUICK = "run: () => 'quick'";

describe("A process of the tools' own", () => {
  it('is not the one of the server', async () => {
    const { connect } = await serve({ pid: PID });
    const client = await connect();
    const { content } = await client.result(await client.start('pid'));
    expect(Number((content[0] as { text: string }).text)).toBeGreaterThan(0);
    expect(content).not.toEqual([{ type: 'text', text: String(process.pid) }]);
  });

  it.each([
    ['SIGSEGV', "the tools' process was ended by SIGSEGV"],
    ['SIGABRT', "the tools' process was ended by SIGABRT"],
    ['SIGKILL', "the tools' process was ended by SIGKILL"],
  ])('fails what runs when it dies of %s, with the cause, and runs what is queued', async (signal, cause) => {
    const { connect } = await serve(
      {
        wait: 'run: (_, { progress }) => { progress(1); return new Promise(() => {}); }',
        die: `run: () => { process.kill(process.pid, '${signal}'); while (true); }`,
        quick: QUICK,
      },
      2,
    );
    const client = await connect();
    const waiting = await client.start('wait');
    await client.running(waiting);
    const [dying, queued] = await Promise.all([client.start('die'), client.start('quick')]);
    await expect(client.result(dying)).rejects.toThrow(`die did not finish: ${cause}`);
    await expect(client.result(waiting)).rejects.toThrow(`wait did not finish: ${cause}`);
    expect((await client.result(queued)).content).toEqual([{ type: 'text', text: 'quick' }]);
  });

  it('runs no more, for a minute, the tool that ran in each of five crashes, and runs the others', async () => {
    const { connect } = await serve({ die: SEGFAULT, quick: QUICK });
    const client = await connect();
    // The last two wait while it is decided that they are not run.
    const tasks = await Promise.all(Array.from({ length: 7 }, () => client.start('die')));
    const ends = await Promise.allSettled(tasks.map(client.result));
    const messages = ends.map((end) => String((end as PromiseRejectedResult).reason));
    expect(messages.slice(0, 5)).toEqual(Array(5).fill(expect.stringContaining('SIGSEGV')));
    const refusal = /die is not run for another \d+ s: the tools' process crashed 5 times/;
    expect(messages.slice(5)).toEqual(Array(2).fill(expect.stringMatching(refusal)));
    await expect(client.start('die')).rejects.toThrow(refusal);
    expect((await client.result(await client.start('quick'))).content).toEqual([
      { type: 'text', text: 'quick' },
    ]);
  });

  it('numbers its threads on after a crash', async () => {
    const { connect } = await serve({ die: SEGFAULT, quick: QUICK });
    const client = await connect();
    const before = metaOf(await client.result(await client.start('quick'))).thread!;
    await expect(client.result(await client.start('die'))).rejects.toThrow();
    expect(metaOf(await client.result(await client.start('quick'))).thread).toBeGreaterThan(before);
  });

  it('is gone when the server is closed', async () => {
    const { server, connect } = await serve({ pid: PID });
    const client = await connect();
    const { content } = await client.result(await client.start('pid'));
    const pid = Number((content[0] as { text: string }).text);
    await server.close();
    expect(() => process.kill(pid, 0)).toThrow('ESRCH');
  });
});
