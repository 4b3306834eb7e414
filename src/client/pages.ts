import { InvalidAnswerError } from './errors.ts';

export interface Page<T> {
  items: readonly T[];
  nextCursor: string | undefined;
}

/** All items of all pages. Cursors are opaque: each is sent back as it came (2025-11-25, pagination). */
export async function allPages<T>(load: (page: { cursor?: string }) => Promise<Page<T>>): Promise<T[]> {
  const all: T[] = [];
  for (let cursor: string | undefined; ;) {
    const { items, nextCursor } = await load(cursor === undefined ? {} : { cursor });
    for (const item of items) all.push(item);
    if (nextCursor === undefined) return all;
    if (nextCursor === cursor) throw new InvalidAnswerError('The server gave the same page twice');
    cursor = nextCursor;
  }
}
