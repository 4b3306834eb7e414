import { compute } from '../soak/compute.ts';

/** Of a computation in steps: how much one is. */
export const STEP_ROUNDS = 100;

const LETTERS = Array.from('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_ é€𝄞');

/** A text of so many characters that follows from the seed, and of which a compression cannot make much. */
export function textOf(seed: number, length: number): string {
  const letters: string[] = [];
  for (let n = 0, value = seed; n < length; n++) {
    value = compute(value, 1);
    letters.push(LETTERS[(value >>> 8) % LETTERS.length]!);
  }
  return letters.join('');
}
