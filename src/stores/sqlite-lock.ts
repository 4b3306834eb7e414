import { setTimeout } from 'node:timers/promises';
import { faultOf } from './sqlite-errors.ts';

/** How long another process may have the file to itself. */
export const LONGEST_LOCK_MS = 5000;

/**
 * Tries again for as long as another process has the file locked, without holding the event loop.
 * @throws what the attempt throws otherwise, and at last
 */
export async function untilUnlocked<T>(attempt: () => T): Promise<T> {
  const longest = performance.now() + LONGEST_LOCK_MS;
  for (;;) {
    try {
      return attempt();
    } catch (error) {
      if (faultOf(error) !== 'busy' || performance.now() > longest) throw error;
    }
    await setTimeout(1 + Math.random() * 4);
  }
}
