import { isTerminal, type Call, type Task, type TaskState } from '../tasks/task.ts';
import type { SqliteRow, SqliteValue } from './sqlite-driver.ts';
import { UnreadableTaskError } from './sqlite-errors.ts';

/** A large value that is kept beside the row. */
export interface Beside {
  readonly version: number;
  readonly parts: number;
}

/** The column `call`: the call, or the small of it. */
interface KeptCall {
  readonly call: Call;
  readonly beside?: Beside;
}

/** The column `record`: what has no column of its own. A result is not in it. */
type Rest = Omit<Task, 'taskId' | 'owner' | 'idempotencyKey' | 'call' | 'state'> & {
  readonly beside?: Beside;
};

/**
 * Text for a column by which rows are found. A driver may end a text at its first NUL, and none keeps half of a
 * surrogate pair: one owner would pass for another.
 */
export function key(text: string): string {
  return JSON.stringify(text).slice(1, -1);
}

/** The text of a {@link key}. */
export function textOf(key: SqliteValue | undefined): string {
  return JSON.parse(`"${String(key)}"`) as string;
}

/** For a column of integers. */
export function whole(milliseconds: number): number {
  return Math.max(0, Math.min(Math.ceil(milliseconds), Number.MAX_SAFE_INTEGER));
}

export function endedAt(task: Task): number | null {
  return isTerminal(task) ? whole(task.endedAt ?? task.updatedAt) : null;
}

export function recordOf(task: Task, beside?: Beside): string {
  const { taskId: _1, owner: _2, idempotencyKey: _3, call: _4, state: _5, ...rest } = task;
  const { outcome } = task;
  const kept: Rest = {
    ...rest,
    ...(outcome?.type === 'result' && { outcome: { ...outcome, result: {} } }),
    ...(beside !== undefined && { beside }),
  };
  return JSON.stringify(kept);
}

/** @param beside where all of it is kept; the row then has the small of it alone */
export function callOf(call: Call, beside?: Beside): string {
  if (beside === undefined) return JSON.stringify({ call } satisfies KeptCall);
  const { prepared: _, prepare: _1, ...small } = call;
  return JSON.stringify({ call: { ...small, args: {} }, beside } satisfies KeptCall);
}

/** The column `result`. */
export function resultOf({ outcome }: Task, beside?: Beside): string | null {
  return outcome?.type === 'result' && beside === undefined ? JSON.stringify(outcome.result) : null;
}

/** A row without what is kept beside it. */
export interface ReadRow {
  readonly sequence: number;
  readonly task: Task;
  readonly call?: Beside;
  readonly result?: Beside;
}

/** The columns that {@link readRow} wants; `result` may be left out. */
export const COLUMNS = 'sequence, task_id, owner, idempotency_key, state, record, call';

/** @throws {UnreadableTaskError} where it is not what was written */
export function readRow(row: SqliteRow): ReadRow {
  try {
    return parsed(row);
  } catch (error) {
    throw new UnreadableTaskError(String(row['task_id']), error);
  }
}

function parsed(row: SqliteRow): ReadRow {
  const { call, beside: besideCall } = JSON.parse(String(row['call'])) as KeptCall;
  const { beside, ...rest } = JSON.parse(String(row['record'])) as Rest;
  const { result } = row;
  const outcome =
    rest.outcome?.type === 'result' && typeof result === 'string'
      ? { ...rest.outcome, result: JSON.parse(result) as Record<string, unknown> }
      : rest.outcome;
  const task: Task = {
    taskId: textOf(row['task_id']),
    owner: textOf(row['owner']),
    call,
    ...(row['idempotency_key'] !== null && { idempotencyKey: textOf(row['idempotency_key']) }),
    state: row['state'] as TaskState,
    ...rest,
    ...(outcome !== undefined && { outcome }),
  };
  return {
    sequence: Number(row['sequence']),
    task,
    ...(besideCall !== undefined && { call: besideCall }),
    ...(beside !== undefined && { result: beside }),
  };
}
