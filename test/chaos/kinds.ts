import { compute } from '../soak/compute.ts';
import type { Random } from '../soak/random.ts';
import type { Fields } from './caller.ts';
import { STEP_ROUNDS, textOf } from './work.ts';

type Args = Readonly<Record<string, unknown>>;

/** A kind of call, by its tool, and what has to come of it. */
export interface Kind {
  readonly tool: string;
  readonly weight: number;
  /** What is called for, beside the nonce by which the tool marks its starts. */
  readonly args: (random: Random) => Args;
  /** The result bit for bit, computed anew. */
  readonly result: (args: Args, nonce: string) => Partial<Fields>;
  /** May be run again after an interruption, by its own word. */
  readonly isSafe?: true;
  /** Runs again for its answers after an interruption, if it was waiting for them. */
  readonly asks?: true;
  /** How often it is run where nothing happens. Default once. */
  readonly runs?: (args: Args) => number;
}

const data = (structuredContent: Args): Partial<Fields> => ({
  content: [{ type: 'text', text: JSON.stringify(structuredContent) }],
  structuredContent,
});
const words = (text: string): Partial<Fields> => ({ content: [{ type: 'text', text }] });
const number = (value: unknown) => value as number;

/** What a question of `ask_twice` is answered. */
export function answerTo(message: string, nonce: string): number {
  return compute(nonce.length, message === 'First?' ? 1 : 2);
}

export const KINDS: readonly Kind[] = [
  {
    tool: 'quick',
    weight: 20,
    args: (random) => ({ word: `w${random.between(0, 1e9)}` }),
    result: ({ word }) => data({ word }),
  },
  {
    tool: 'compute',
    weight: 20,
    args: (random) => ({ seed: random.between(1, 1e9), rounds: random.between(1e4, 1e6) }),
    result: ({ seed, rounds }) => data({ value: compute(number(seed), number(rounds)) }),
  },
  {
    tool: 'wait',
    weight: 12,
    args: (random) => ({ ms: random.between(20, 400) }),
    result: ({ ms }) => data({ waitedMs: ms }),
  },
  {
    tool: 'go_on',
    weight: 16,
    isSafe: true,
    args: (random) => ({ seed: random.between(1, 1e9), steps: random.between(5, 30) }),
    result: ({ seed, steps }) => data({ value: compute(number(seed), number(steps) * STEP_ROUNDS) }),
  },
  {
    tool: 'flaky',
    weight: 6,
    isSafe: true,
    args: (random) => ({ failures: random.between(0, 2) }),
    result: (_, nonce) => data({ nonce }),
    runs: ({ failures }) => 1 + number(failures),
  },
  {
    tool: 'ask_twice',
    weight: 14,
    asks: true,
    args: () => ({}),
    result: (_, nonce) => data({ sum: answerTo('First?', nonce) + answerTo('Second?', nonce) }),
  },
  {
    tool: 'large',
    weight: 5,
    args: (random) => ({ seed: random.between(1, 1e9), length: random.between(200_000, 700_000) }),
    result: ({ seed, length }) => words(textOf(number(seed), number(length))),
  },
  {
    tool: 'fail',
    weight: 7,
    args: () => ({}),
    result: (_, nonce) => ({ ...words(`failed ${nonce}`), isError: true }),
  },
];
