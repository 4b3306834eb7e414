/** A computation that takes some time, and that anyone can repeat. */
export function compute(seed: number, rounds: number): number {
  let value = seed;
  for (let n = 0; n < rounds; n++) value = (value * 1_103_515_245 + 12_345) % 2_147_483_648;
  return value;
}
