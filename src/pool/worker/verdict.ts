import type { RetryOptions } from '../../tool.ts';
import { stackOf } from './failure.ts';

/** What becomes of a run whose tool threw. */
export interface Verdict {
  /** Another run may do better. */
  readonly mayRepeat: boolean;
  /** For the operator. */
  readonly stack: string;
}

/** Asks the tool whether what it threw may go away by itself. A tool that cannot answer is not run again. */
export function judge(error: unknown, retry: RetryOptions | undefined): Verdict {
  const stack = stackOf(error);
  try {
    return { mayRepeat: retry?.on === undefined || answerOf(retry.on(error)), stack };
  } catch (fault) {
    return { mayRepeat: false, stack: `${stack}\n\`retry.on\` threw: ${stackOf(fault)}` };
  }
}

/** JavaScript may answer with anything, and a promise of "no" is no "yes". */
function answerOf(answer: unknown): boolean {
  if (typeof (answer as PromiseLike<unknown> | null | undefined)?.then !== 'function') return Boolean(answer);
  void Promise.resolve(answer).catch(() => {});
  throw new TypeError('it has to answer at once, and gave a promise');
}
