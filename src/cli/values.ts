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
