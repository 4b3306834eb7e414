import { appendFileSync } from 'node:fs';

/** Needed by all tools here: the file that has a line for every start of a run. */
export const ENV = ['CHAOS_STARTS'];

/**
 * Leaves a line that outlives whatever is killed; it is appended in one write, however many processes do.
 * @param from how far an earlier run had come, where this one goes on from there
 */
export function started(nonce: string, from = 0): void {
  appendFileSync(process.env['CHAOS_STARTS']!, `${nonce} ${from}\n`);
}
