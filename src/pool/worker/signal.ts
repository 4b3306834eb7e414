/**
 * An abort controller whose signal a synchronous loop can see. A message that asks to stop is not
 * read while a tool computes, so the other side also raises a flag in shared memory, and `aborted`
 * and `throwIfAborted()` look at it. The first look that finds it raised aborts the signal as usual.
 */
export function flaggedController(flags: Int32Array, place: number): AbortController {
  const controller = new AbortController();
  const { signal } = controller;
  const native = Object.getOwnPropertyDescriptor(AbortSignal.prototype, 'aborted')!;
  const isAborted = (): boolean => {
    if (flags[place] === 1) controller.abort(cancelled());
    return native.get!.call(signal) as boolean;
  };
  Object.defineProperty(signal, 'aborted', { get: isAborted });
  Object.defineProperty(signal, 'throwIfAborted', {
    value: () => {
      if (isAborted()) throw signal.reason;
    },
  });
  return controller;
}

/** What a stopped tool finds as its signal's reason. */
export function cancelled(): DOMException {
  return new DOMException('The task was cancelled', 'AbortError');
}
