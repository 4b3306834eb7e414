import { isDeepStrictEqual } from 'node:util';
import { keyOf, type Answer, type NumberedQuestion } from './question.ts';
import type { Asked } from './task.ts';

/**
 * What a task's runs have asked. A run that is made again asks it again, and gets the same answer: nobody is asked
 * twice. A key means one question for as long as the task exists (ext-tasks, "Input Requests").
 */
export type Journal = readonly Asked[];

/** What a question of a run is called, and the answer that it has got in a run before. */
export function recall(journal: Journal, numbered: NumberedQuestion): { key: string; answer?: Answer } {
  const own = keyOf(numbered);
  for (let key = own, n = 2; ; key = `${own}.${n++}`) {
    const entry = journal.find((entry) => entry.key === key);
    if (entry === undefined) return { key };
    // Where the run takes another way this time, it asks something else, and needs another key.
    if (isDeepStrictEqual(entry.question, numbered.question)) {
      return { key, ...(entry.answer !== undefined && { answer: entry.answer }) };
    }
  }
}

/** The journal with this question, and its answer where it has one, in place of what it has of that key. */
export function note(journal: Journal, entry: Asked): Journal {
  const index = journal.findIndex(({ key }) => key === entry.key);
  return index < 0 ? [...journal, entry] : journal.with(index, entry);
}

/** The journal without a question, of which nothing has come. */
export function strike(journal: Journal, key: string): Journal {
  return journal.filter((entry) => entry.key !== key);
}
