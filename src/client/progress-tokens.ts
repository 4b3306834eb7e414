import type { Progress, ProgressNotification } from '@modelcontextprotocol/sdk/types.js';

/** Brings progress to whom it concerns, by the token of the request that it comes with. */
export class ProgressTokens {
  readonly #watchers = new Map<string, (progress: Progress) => void>();
  #last = 0;

  /** A token that no other request of this connection has. */
  next(): string {
    return `mcp-taskpool-${++this.#last}`;
  }

  /** Returns what ends it. */
  watch(token: string, watcher: (progress: Progress) => void): () => void {
    this.#watchers.set(token, watcher);
    return () => void this.#watchers.delete(token);
  }

  bring({ progressToken, progress, total, message }: ProgressNotification['params']): void {
    this.#watchers.get(String(progressToken))?.({
      progress,
      ...(total !== undefined && { total }),
      ...(message !== undefined && { message }),
    });
  }

  clear(): void {
    this.#watchers.clear();
  }
}
