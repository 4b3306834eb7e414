import { setTimeout as sleep } from 'node:timers/promises';
import { compute } from './compute.ts';
import type { Answer } from './front.ts';
import type { Random } from './random.ts';
import type { Stage } from './stage.ts';

const CANCELLED = -32800;
const INVALID_PARAMS = -32602;
const METHOD_NOT_FOUND = -32601;

interface Act {
  readonly name: string;
  readonly weight: number;
  readonly play: (stage: Stage, random: Random) => Promise<void>;
}

const text = ({ result }: Answer) => result?.content?.[0]?.text ?? '';

/** What to compute, and whether an answer has the value; that is computed here once, and in little time. */
function aComputation(random: Random) {
  const args = { seed: random.between(1, 1e9), rounds: random.between(1e3, 3e5) };
  let value: number | undefined;
  const isRight = ({ result }: Answer) =>
    result?.structuredContent?.['value'] === (value ??= compute(args.seed, args.rounds));
  return { args, isRight };
}

/** Runs a tool as a task to its end, which is to be this one. */
async function ends(
  stage: Stage,
  tool: string,
  args: object,
  status: string,
  isRight: (answer: Answer) => boolean,
): Promise<void> {
  const task = await stage.create(tool, args);
  if (task === undefined) return;
  const answer = await task.result();
  stage.auditor.expects(`${tool} ${JSON.stringify(args)}`, answer, isRight(answer));
  const end = await task.ended();
  if (isRight(answer) && end !== status) stage.auditor.violated(`${tool} was ${end}, not ${status}`);
}

export const ACTS: readonly Act[] = [
  {
    name: 'right result',
    weight: 50,
    play: async (stage, random) => {
      const { args, isRight } = aComputation(random);
      await ends(stage, 'compute', args, 'completed', isRight);
    },
  },
  {
    name: 'right result of a call',
    weight: 8,
    play: async (stage, random) => {
      const { args, isRight } = aComputation(random);
      const answer = await stage.call('compute', args).answer;
      stage.auditor.expects('a call of compute', answer, isRight(answer));
    },
  },
  {
    name: 'echo on the shared thread',
    weight: 10,
    play: (stage, random) => {
      const args = { word: `w${random.between(0, 1e9)}`, ms: random.between(1, 100) };
      const isRight = ({ result }: Answer) => result?.structuredContent?.['word'] === args.word;
      return ends(stage, 'echo_slowly', args, 'completed', isRight);
    },
  },
  {
    name: 'call aborted',
    weight: 3,
    play: async (stage, random) => {
      const call = stage.call('spin', {});
      await sleep(random.between(0, 200));
      call.drop();
      await call.answer;
    },
  },
  {
    name: 'queued cancelled',
    weight: 4,
    play: async (stage, random) => {
      const all = Array.from({ length: 6 }, async () => {
        const { args, isRight } = aComputation(random);
        const task = await stage.create('compute', args);
        if (task === undefined) return;
        const wasCancelled = (await task.cancel()).error === undefined;
        const answer = await task.result();
        const isEnd = wasCancelled ? answer.error?.code === CANCELLED : isRight(answer);
        stage.auditor.expects('cancelled soon', answer, isEnd);
        const end = await task.ended();
        if (wasCancelled !== (end === 'cancelled'))
          stage.auditor.violated(`task ${task.taskId}: the cancel said ${wasCancelled}, the task is ${end}`);
      });
      await Promise.all(all);
    },
  },
  {
    name: 'running cancelled, twice',
    weight: 5,
    play: async (stage, random) => {
      const task = await stage.create('spin', {});
      if (task === undefined) return;
      await Promise.race([task.begun, task.result()]);
      await sleep(random.between(0, 50));
      const first = await task.cancel();
      const answer = await task.result();
      const wasCancelled = first.error === undefined && answer.error?.code === CANCELLED;
      stage.auditor.expects('spin, cancelled', answer, wasCancelled);
      const again = await task.cancel();
      stage.auditor.expects('cancelled again', again, again.error?.code === INVALID_PARAMS);
      await task.ended();
    },
  },
  {
    name: 'finished cancelled',
    weight: 2,
    play: async (stage, random) => {
      const { args, isRight } = aComputation(random);
      const task = await stage.create('compute', args);
      if (task === undefined) return;
      await task.result();
      const refused = await task.cancel();
      stage.auditor.expects('cancelled late', refused, refused.error?.code === INVALID_PARAMS);
      const answer = await task.result();
      stage.auditor.expects('compute, cancelled late', answer, isRight(answer));
      await task.ended();
    },
  },
  {
    name: 'timed out',
    weight: 3,
    play: (stage) =>
      ends(stage, 'time_out', {}, 'failed', ({ error }) =>
        /timed out after 100 ms/.test(error?.message ?? ''),
      ),
  },
  {
    name: 'threw',
    weight: 4,
    play: (stage, random) => {
      const message = `error ${random.between(0, 1e9)}`;
      const isRight = (answer: Answer) => answer.result?.isError === true && text(answer).includes(message);
      return ends(stage, 'throw_error', { message }, 'failed', isRight);
    },
  },
  {
    name: 'exited',
    weight: 2,
    play: (stage, random) => {
      const code = random.between(0, 9);
      const isRight = ({ error }: Answer) => error?.message.includes(`exited with code ${code}`) === true;
      return ends(stage, 'exit_process', { code }, 'failed', isRight);
    },
  },
  {
    name: 'threw after its end',
    weight: 2,
    play: (stage, random) => {
      const args = { kind: random.oneOf(['exception', 'rejection']), ms: random.between(10, 100) };
      return ends(stage, 'fail_later', args, 'completed', (answer) => text(answer) === 'own result');
    },
  },
  {
    name: 'heap filled',
    weight: 0.5,
    play: (stage) =>
      ends(stage, 'fill_heap', {}, 'failed', ({ error }) => /out of memory/.test(error?.message ?? '')),
  },
  {
    name: 'buffers filled',
    weight: 0.5,
    play: (stage) =>
      ends(stage, 'fill_buffers', {}, 'failed', ({ error }) => /out of memory/.test(error?.message ?? '')),
  },
  {
    name: 'bad result',
    weight: 3,
    play: (stage, random) => {
      const kind = random.oneOf(['function', 'circle', 'bigint', 'nan', 'large']);
      const isRight = (answer: Answer) => answer.result?.isError === true && /result/.test(text(answer));
      return ends(stage, 'return_badly', { kind }, 'failed', isRight);
    },
  },
  {
    name: 'flood of reports',
    weight: 1.5,
    play: (stage) =>
      ends(
        stage,
        'flood',
        { ms: 200 },
        'completed',
        ({ result }) => Number(result?.structuredContent?.['n']) > 0,
      ),
  },
  {
    name: 'printed',
    weight: 1,
    play: (stage, random) => {
      const how = random.oneOf(['log', 'write', 'fd']);
      return ends(stage, 'print', { how }, 'completed', (answer) => text(answer) === 'printed');
    },
  },
  {
    name: 'expired while it ran',
    weight: 1.5,
    play: async (stage, random) => {
      // The server lets nobody ask for many unknown tasks.
      if (!stage.mayMiss()) return;
      const ttl = random.between(100, 400);
      const task = await stage.create('spin', {}, ttl);
      if (task === undefined) return;
      await sleep(ttl + 200);
      const { error, result } = await task.get();
      if (error?.code !== INVALID_PARAMS)
        stage.auditor.violated(`expired, and ${JSON.stringify(result ?? error)}`);
      stage.auditor.isGone(task.taskId);
    },
  },
  {
    name: 'request for a result dropped',
    weight: 3,
    play: async (stage, random) => {
      const { args, isRight } = aComputation(random);
      const task = await stage.create('compute', args);
      if (task === undefined) return;
      task.dropResult();
      await task.ended();
      const answer = await task.result();
      stage.auditor.expects('compute, after a dropped request', answer, isRight(answer));
    },
  },
  {
    name: 'nonsense',
    weight: 1,
    play: async ({ front, auditor }, random) => {
      front.babble(random.oneOf(['{"jsonrpc', 'nonsense', '[[[[', '{"__proto__":']));
      const unknown = await front.request(`no/such_${random.between(0, 9)}`, {});
      auditor.expects('an unknown method', unknown, unknown.error?.code === METHOD_NOT_FOUND);
      const tool = await front.request('tools/call', { name: 'no_such_tool', task: {} });
      auditor.expects('an unknown tool', tool, tool.error?.code === INVALID_PARAMS);
      const wrong = await front.request('tasks/get', { taskId: { not: 'a string' } });
      auditor.expects('a wrong type', wrong, wrong.error?.code === INVALID_PARAMS);
    },
  },
];

/** Takes the process of all tools with it: played by the clock, and not by chance. */
export const CRASH: Act = {
  name: 'crashed',
  weight: 0,
  play: (stage) =>
    ends(stage, 'crash', {}, 'failed', ({ error }) => error?.message.includes('SIGSEGV') === true),
};
