import { InvalidArgumentError } from 'commander';

/** Of an option that may be repeated. */
export function gather(value: string, before: string[]): string[] {
  return [...before, value];
}

export function count(value: string): number {
  if (!/^[1-9]\d{0,8}$/.test(value)) throw new InvalidArgumentError('Expected a whole number of at least 1.');
  return Number(value);
}

export function seconds(value: string): number {
  if (!/^\d{1,6}(\.\d+)?$/.test(value)) throw new InvalidArgumentError('Expected a number of seconds.');
  return Number(value);
}

const UNITS_MS = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

/** A time such as `90s`, `30m`, `12h` or `7d`, in milliseconds. */
export function duration(value: string): number {
  const [, number, unit] = /^(\d{1,6}(?:\.\d+)?)([smhd])$/.exec(value) ?? [];
  if (number === undefined) throw new InvalidArgumentError('Expected a time such as 90s, 30m, 12h or 7d.');
  return Number(number) * UNITS_MS[unit as keyof typeof UNITS_MS];
}
