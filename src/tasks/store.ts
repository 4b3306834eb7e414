import type { Clock } from './clock.ts';
import type { Answer } from './question.ts';
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
  /** By which tasks expire. */
  readonly clock: Clock;
  /** What a store has that outlives the process; undefined where it does not. */
  readonly shared?: SharedStore;
  /**
   * Resolves once the record is kept. Rejects, and keeps nothing, where it cannot be.
   * @throws {KeyTakenError} when another task of the owner, which has not expired, has its idempotency key
   * @throws {StoreUnavailableError} when that is likely to pass: the disk is full, say
   */
  create(task: Task): Promise<void>;
  /**
   * Puts `task` in the place of the record that is in state `from`, which may be its own; false where that record
   * is gone, in another state, or has been taken over by another server.
   * @throws {StoreUnavailableError} when it cannot be now, but is likely to be later
   */
  replace(from: Task['state'], task: Task): Promise<boolean>;
  get(taskId: string): Promise<Task | undefined>;
  /** The owner's task that was created with this idempotency key. */
  findByKey(owner: string, idempotencyKey: string): Promise<Task | undefined>;
  /**
   * The owner's tasks from the oldest to the newest. Of how they ended the kind is told; results may be left out.
   * @throws {InvalidCursorError} when the cursor is none that this store gave out
   */
  list(owner: string, cursor: string | undefined, limit: number): Promise<Page>;
  /** Removes what has expired at `now`, by its clock, or some of it, and says what it was: nothing is left when that is nothing. */
  purge(now: number): Promise<readonly Purged[]>;
  /** When the next record expires. */
  nextExpiry(): Promise<number | undefined>;
  /** How many records there are. */
  size(): Promise<number>;
  /** Ends what is under way; what this server has not ended, another may take over. */
  close(): Promise<void>;
}

/** What another server, or a person, wants of a task that runs here. */
export interface Letter {
  readonly taskId: string;
  readonly wish:
    | { readonly type: 'cancel' }
    | { readonly type: 'answer'; readonly key: string; readonly answer: Answer };
}

/** A letter that has come, and is given again until it is done. */
export interface ReceivedLetter extends Letter {
  readonly id: number;
}

export interface SharedEvents {
  /** Another process has written: there may be letters, and tasks elsewhere may have moved on. */
  changed(): void;
  /** There may be tasks to take over: another server has gone, or has left some. */
  gone(): void;
  /** This server was taken for dead, having been frozen, and its tasks were taken over: none is its own any more. */
  lost(): void;
}

/**
 * A store that outlives the process, and that several servers may use at once. Each task that has not ended is
 * one server's, which alone may run it and change it: first of the one that created it.
 */
export interface SharedStore {
  /**
   * Takes over tasks that have not ended and whose server has gone, some at a time; nothing is left when it gives
   * none. No other server gets the same.
   */
  claim(): Promise<readonly Task[]>;
  /** Leaves word for the server whose task it is. */
  post(letter: Letter): Promise<void>;
  /** The oldest letters for this server that are not done. */
  letters(): Promise<readonly ReceivedLetter[]>;
  /**
   * Says that what they want has been done and is kept. Those about tasks that are another server's by now are left
   * to that one.
   */
  done(letters: readonly ReceivedLetter[]): Promise<void>;
  /** Tells of what other processes do, from now until it is closed. Called once, by the engine. */
  watch(events: SharedEvents): void;
}
