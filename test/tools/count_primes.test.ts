import { expect, test } from 'vitest';
import countPrimes from '../../tools/count_primes.ts';
import { abortAtOnce, recordingContext } from './context.ts';

async function count(limit: number, from?: number): Promise<number> {
  const result = await countPrimes.run(countPrimes.input.parse({ limit, from }), recordingContext().context);
  return (result as { count: number }).count;
}

test.each([
  [2, 0],
  [3, 1],
  [4, 2],
  [5, 2],
  [10, 4],
  [121, 30],
  [122, 30],
  [65_537, 6542],
  [65_538, 6543],
  [1e6, 78_498],
  [1e7, 664_579],
])('below %d there are %d primes', async (limit, expected) => {
  expect(await count(limit)).toBe(expected);
});

test('every small range has the primes that trial division finds', async () => {
  const isPrime = (n: number) => {
    for (let d = 2; d * d <= n; d++) if (n % d === 0) return false;
    return n >= 2;
  };
  for (let from = 0; from < 60; from++)
    for (let limit = Math.max(2, from + 1); limit < 130; limit++) {
      let expected = 0;
      for (let n = from; n < limit; n++) if (isPrime(n)) expected++;
      expect(await count(limit, from), `${from} to ${limit}`).toBe(expected);
    }
});

test('the parts of a split range add up to the whole', async () => {
  const cuts = [0, 2, 3, 49, 65_536, 131_071, 131_072, 500_009, 999_983, 1e6];
  let sum = 0;
  for (let i = 1; i < cuts.length; i++) sum += await count(cuts[i]!, cuts[i - 1]);
  expect(sum).toBe(78_498);
});

test('counts a range at the far end without sieving what is before it', async () => {
  expect(await count(1e9, 1e9 - 1000)).toBe(45);
});

test('the result names its range', async () => {
  const { context } = recordingContext();
  expect(await countPrimes.run({ from: 10, limit: 20 }, context)).toEqual({ from: 10, limit: 20, count: 4 });
});

test('progress rises to its total', async () => {
  const { context, reports } = recordingContext();
  await countPrimes.run({ from: 0, limit: 2e7 }, context);
  expect(reports.length).toBeGreaterThan(2);
  reports.reduce((before, report) => {
    expect(report.done).toBeGreaterThanOrEqual(before.done);
    return report;
  });
  expect(reports.at(-1)).toMatchObject({ done: 1e7, total: 1e7 });
});

test('stops in the middle of the work when it is cancelled', () => {
  const { context, reports } = recordingContext(abortAtOnce);
  expect(() => countPrimes.run({ from: 0, limit: 1e9 }, context)).toThrow('cancelled');
  expect(reports).toHaveLength(1);
});

/** A run that is cancelled at its n-th report, and what it has kept by then. */
function interrupted(args: { from: number; limit: number }, reportsBefore: number, checkpointed?: unknown) {
  const run = recordingContext((_, controller) => {
    if (run.reports.length === reportsBefore) controller.abort(new Error('interrupted'));
  }, checkpointed);
  expect(() => countPrimes.run(args, run.context)).toThrow('interrupted');
  return { reports: run.reports, checkpoint: run.checkpoints.at(-1) };
}

test('goes on from where interrupted runs stopped, to the same result, and does the rest only', async () => {
  const args = { from: 101, limit: 3e7 };
  const whole = recordingContext();
  const expected = await countPrimes.run(args, whole.context);
  const first = interrupted(args, 1);
  const second = interrupted(args, 2, first.checkpoint);
  const last = recordingContext(() => {}, second.checkpoint);
  expect(await countPrimes.run(args, last.context)).toEqual(expected);
  // What one run reported, none reports again: together they did what one does without a stop.
  expect([...first.reports, ...second.reports, ...last.reports]).toEqual(whole.reports);
});

test.each([
  ['no object', 7],
  ['without its parts', {}],
  ['before the range', { low: 0, count: 0 }],
  ['behind the range', { low: 20_000, count: 0 }],
  ['of more primes than there are numbers', { low: 600, count: 101 }],
  ['of fewer than none', { low: 600, count: -1 }],
])('counts from the beginning where a checkpoint makes no sense: %s', async (_, checkpoint) => {
  const { context } = recordingContext(() => {}, checkpoint);
  expect(await countPrimes.run({ from: 1000, limit: 10_000 }, context)).toMatchObject({ count: 1229 - 168 });
});

test('refuses a range that is empty or too large, naming the field', () => {
  const problem = (args: object) => countPrimes.input.safeParse(args).error?.issues[0]?.path;
  expect(problem({ limit: 1 })).toEqual(['limit']);
  expect(problem({ limit: 1e9 + 1 })).toEqual(['limit']);
  expect(problem({ limit: 10.5 })).toEqual(['limit']);
  expect(problem({ limit: 10, from: 10 })).toEqual(['from']);
  expect(problem({ limit: 10, from: -1 })).toEqual(['from']);
});
