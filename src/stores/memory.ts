import { InvalidCursorError, KeyTakenError } from '../errors.ts';
import type { Page, Purged, TaskStore } from '../tasks/store.ts';
import { SteadyClock } from '../tasks/clock.ts';
import type { Task } from '../tasks/task.ts';
import { Heap } from './heap.ts';

interface Row {
  task: Task;
  /** The order of creation; a cursor names one. */
  readonly sequence: number;
}

/** Keeps tasks in this process: gone when it ends. */
export class MemoryStore implements TaskStore {
  readonly clock = new SteadyClock();
  readonly #rows = new Map<string, Row>();
  /** Each owner's rows in order of creation. */
  readonly #owners = new Map<string, Row[]>();
  /** The rows that have an idempotency key. */
  readonly #keys = new Map<string, Row>();
  readonly #expiries = new Heap<Row>((a, b) => a.task.expiresAt - b.task.expiresAt);
  #sequence = 0;

  async create(task: Task): Promise<void> {
    if (this.#rows.has(task.taskId)) throw new Error(`task ${task.taskId} exists`);
    const { owner, idempotencyKey: key } = task;
    const keyed = key === undefined ? undefined : this.#keys.get(keyOf(owner, key));
    if (keyed !== undefined && keyed.task.expiresAt > this.clock.now()) throw new KeyTakenError();
    const row: Row = { task, sequence: ++this.#sequence };
    this.#rows.set(task.taskId, row);
    const own = this.#owners.get(task.owner);
    if (own === undefined) this.#owners.set(task.owner, [row]);
    else own.push(row);
    this.#expiries.push(row);
    if (task.idempotencyKey !== undefined) this.#keys.set(keyOf(task.owner, task.idempotencyKey), row);
  }

  async replace(from: Task['state'], task: Task): Promise<boolean> {
    const row = this.#rows.get(task.taskId);
    if (row === undefined || row.task.state !== from) return false;
    row.task = task;
    return true;
  }

  async get(taskId: string): Promise<Task | undefined> {
    return this.#rows.get(taskId)?.task;
  }

  async findByKey(owner: string, idempotencyKey: string): Promise<Task | undefined> {
    return this.#keys.get(keyOf(owner, idempotencyKey))?.task;
  }

  async list(owner: string, cursor: string | undefined, limit: number): Promise<Page> {
    const after = cursor === undefined ? 0 : this.#decode(cursor);
    const rows = this.#owners.get(owner) ?? [];
    const from = firstAfter(rows, after);
    const page = rows.slice(from, from + limit);
    const last = page.at(-1);
    const tasks = page.map((row) => row.task);
    return last !== undefined && from + limit < rows.length
      ? { tasks, nextCursor: encode(last.sequence) }
      : { tasks };
  }

  async purge(now: number): Promise<readonly Purged[]> {
    const purged: Purged[] = [];
    const owners = new Set<string>();
    for (let row = this.#expiries.peek(); row && row.task.expiresAt <= now; row = this.#expiries.peek()) {
      this.#expiries.pop();
      const { taskId, owner, idempotencyKey } = row.task;
      this.#rows.delete(taskId);
      if (idempotencyKey !== undefined) {
        const key = keyOf(owner, idempotencyKey);
        // An expired task may have a successor already.
        if (this.#keys.get(key) === row) this.#keys.delete(key);
      }
      purged.push({ taskId, owner });
      owners.add(owner);
    }
    for (const owner of owners) {
      const kept = this.#owners.get(owner)?.filter((row) => this.#rows.has(row.task.taskId)) ?? [];
      if (kept.length === 0) this.#owners.delete(owner);
      else this.#owners.set(owner, kept);
    }
    return purged;
  }

  async nextExpiry(): Promise<number | undefined> {
    const row = this.#expiries.peek();
    return row && row.task.expiresAt;
  }

  async size(): Promise<number> {
    return this.#rows.size;
  }

  async close(): Promise<void> {
    // Nothing is open.
  }

  #decode(cursor: string): number {
    const sequence = Number(/^s(\d{1,15})$/.exec(Buffer.from(cursor, 'base64url').toString())?.[1]);
    if (!(sequence >= 1 && sequence <= this.#sequence) || encode(sequence) !== cursor) {
      throw new InvalidCursorError();
    }
    return sequence;
  }
}

function keyOf(owner: string, idempotencyKey: string): string {
  return JSON.stringify([owner, idempotencyKey]);
}

function encode(sequence: number): string {
  return Buffer.from(`s${sequence}`).toString('base64url');
}

/** The index of the first row after `sequence`, by bisection. */
function firstAfter(rows: readonly Row[], sequence: number): number {
  let low = 0;
  let high = rows.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (rows[middle]!.sequence <= sequence) low = middle + 1;
    else high = middle;
  }
  return low;
}
