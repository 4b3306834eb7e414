/** The largest delay of a timer; a longer one would fire at once. */
export const MAX_DELAY_MS = 2 ** 31 - 1;

/** All that waits for one signal, behind a single listener. */
class Watch {
  readonly #signal: AbortSignal;
  readonly #waiting = new Set<{ fn: () => void }>();

  constructor(signal: AbortSignal) {
    this.#signal = signal;
  }

  add(fn: () => void): () => void {
    const entry = { fn };
    if (this.#waiting.size === 0) this.#signal.addEventListener('abort', this.#abort);
    this.#waiting.add(entry);
    return () => {
      if (this.#waiting.delete(entry) && this.#waiting.size === 0) this.#unlisten();
    };
  }

  readonly #abort = () => {
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    this.#unlisten();
    for (const { fn } of waiting) fn();
  };

  #unlisten(): void {
    this.#signal.removeEventListener('abort', this.#abort);
  }
}

const watches = new WeakMap<AbortSignal, Watch>();

/**
 * Calls `fn` once when the signal aborts, and gives what takes it off again. However many calls share a
 * signal, it carries one listener: Node warns of a leak from the eleventh on.
 */
export function onAbort(signal: AbortSignal | undefined, fn: () => void): () => void {
  if (signal === undefined) return () => {};
  let watch = watches.get(signal);
  if (watch === undefined) {
    watch = new Watch(signal);
    watches.set(signal, watch);
  }
  return watch.add(fn);
}

/** What the promise comes to, unless the signal aborts first: then its reason. */
export function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason as Error);
    const off = onAbort(signal, abort);
    if (signal.aborted) abort();
    void promise.then(resolve, reject).finally(off);
  });
}

/** Resolves after a time, or rejects with the signal's reason. */
export function sleep(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason as Error);
    const timer = setTimeout(() => {
      off();
      resolve();
    }, ms);
    const off = onAbort(signal, () => {
      clearTimeout(timer);
      reject(signal.reason as Error);
    });
  });
}
