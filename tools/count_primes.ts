import { defineTool } from 'mcp-taskpool/tool';
import { z } from 'zod';

/** Odd numbers in a segment. 32 KiB fits the fastest cache, and a segment takes well under a millisecond. */
const SEGMENT = 32 * 1024;
const SEGMENTS_A_REPORT = 64;

/** How far a run has come: of the odd numbers below the index `low`, so many are primes. */
const Checkpoint = z.object({ low: z.int(), count: z.int().min(0) });

export default defineTool({
  title: 'Count primes',
  description:
    'Count the primes p with from <= p < limit. To use several cores, split a range into tasks: ' +
    'the limit of one is the `from` of the next, and the counts add up',
  input: z
    .object({
      limit: z.int().min(2).max(1e9).describe('Count the primes below this number'),
      from: z.int().min(0).max(1e9).default(0).describe('Count the primes from this number on'),
    })
    .refine(({ from, limit }) => from < limit, { path: ['from'], error: '`from` must be below `limit`' }),
  output: z.object({
    from: z.int().describe('The first number of the range'),
    limit: z.int().describe('The first number after the range'),
    count: z.int().describe('How many primes the range has'),
  }),
  annotations: { readOnlyHint: true, idempotentHint: true, openWorldHint: false },
  task: 'optional',
  workload: 'cpu',
  idempotent: true,
  run({ from, limit }, { signal, progress, checkpoint, checkpointed }) {
    // Even numbers are left out: index i stands for 2i + 1, and so index 0, the number 1, for the prime 2.
    const first = from <= 2 ? 0 : from >> 1;
    const last = limit === 2 ? 0 : limit >> 1;
    const start = startOf(first, last, checkpointed);
    const primes = oddPrimesTo(Math.floor(Math.sqrt(limit)));
    const next = primes.map((prime) => firstMultiple(prime, start.low));
    const composite = new Uint8Array(SEGMENT);
    let { count } = start;

    for (let { low } = start, segment = 1; low < last; low += SEGMENT, segment++) {
      // Once a segment: seen within a fraction of a millisecond, and too rare to cost anything.
      signal.throwIfAborted();
      const length = Math.min(SEGMENT, last - low);
      composite.fill(0);
      for (let i = 0; i < primes.length; i++) {
        const prime = primes[i]!;
        // The first multiple to cross off is the square; of the primes after this one it is further on.
        if ((prime * prime) >> 1 >= low + length) break;
        let index = next[i]! - low;
        for (; index < length; index += prime) composite[index] = 1;
        next[i] = index + low;
      }
      count += length;
      for (let i = 0; i < length; i++) count -= composite[i]!;
      if (segment % SEGMENTS_A_REPORT === 0) {
        checkpoint({ low: low + length, count } satisfies z.infer<typeof Checkpoint>);
        progress(low + length - first, last - first, `up to ${2 * (low + length)}`);
      }
    }
    progress(last - first, last - first, `${count} primes`);
    return { from, limit, count };
  },
});

/** Where an interrupted run had come to; or the beginning, where there was none or its checkpoint makes no sense. */
function startOf(first: number, last: number, checkpointed: unknown): z.infer<typeof Checkpoint> {
  const { data } = Checkpoint.safeParse(checkpointed);
  const fits = data !== undefined && data.low >= first && data.low <= last && data.count <= data.low - first;
  return fits ? data : { low: first, count: 0 };
}

/** The primes that can divide a number whose square root this is; a few thousand at most, so simply sieved. */
function oddPrimesTo(root: number): Int32Array {
  const composite = new Uint8Array(root + 1);
  const primes: number[] = [];
  for (let n = 3; n <= root; n += 2) {
    if (composite[n]) continue;
    primes.push(n);
    for (let multiple = n * n; multiple <= root; multiple += n) composite[multiple] = 1;
  }
  return Int32Array.from(primes);
}

/** The index of the first odd multiple of a prime that is not below the index `first` nor below its square. */
function firstMultiple(prime: number, first: number): number {
  const square = (prime * prime) >> 1;
  return square >= first ? square : square + Math.ceil((first - square) / prime) * prime;
}
