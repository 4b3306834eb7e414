import { AsyncLocalStorage } from 'node:async_hooks';
import type { CallContext } from './context.ts';

/** Which call the code that runs belongs to, timers and promises that it left behind included. */
const calls = new AsyncLocalStorage<CallContext>();

/** Runs a call's code, so that what it throws from anywhere is known to be the call's. */
export function runAs<T>(context: CallContext, code: () => T): T {
  return calls.run(context, code);
}

/**
 * Tells of exceptions and rejections that nobody caught, with the call that they come from: undefined where
 * it is none's, such as a timer that a module has set when it was loaded. The thread goes on.
 */
export function onFault(tell: (context: CallContext | undefined, error: unknown) => void): void {
  const fault = (error: unknown) => tell(calls.getStore(), error);
  process.on('uncaughtException', fault);
  process.on('unhandledRejection', fault);
}
