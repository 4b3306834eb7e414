import type { Task } from './task.ts';

export interface Page {
  readonly tasks: readonly Task[];
  /** Names the place after the last task of this page; absent on the last page. */
  readonly nextCursor?: string;
}

/** A task that has expired. */
export type Purged = Pick<Task, 'taskId' | 'owner'>;

/**
 * Where tasks are kept. Each operation is atomic. The engine is the only writer, and writes the
 * states of one task in their order; a record is never changed once its state is terminal.
 */
export interface TaskStore {
  /** Resolves once the record is kept. Rejects, and keeps nothing, where it cannot be. */
  create(task: Task): Promise<void>;
  /** Puts `task` in the place of the record that is in state `from`; false where that record is gone or in another state. */
  replace(from: Task['state'], task: Task): Promise<boolean>;
  get(taskId: string): Promise<Task | undefined>;
  /** The owner's task that was created with this idempotency key. */
  findByKey(owner: string, idempotencyKey: string): Promise<Task | undefined>;
  /**
   * The owner's tasks from the oldest to the newest.
   * @throws {InvalidCursorError} when the cursor is none that this store gave out
   */
  list(owner: string, cursor: string | undefined, limit: number): Promise<Page>;
  /** Removes what has expired at `now` (milliseconds since the epoch), and says what it was. */
  purge(now: number): Promise<readonly Purged[]>;
  /** When the next record expires. */
  nextExpiry(): Promise<number | undefined>;
  /** How many records there are. */
  size(): Promise<number>;
  close(): Promise<void>;
}
