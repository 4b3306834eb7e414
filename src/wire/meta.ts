/**
 * The `_meta` key under which the server says more of a task than the protocol has words for:
 * on tasks and status notifications where it stands, on results what it took.
 */
export const TASK_META = 'mcp-taskpool/task';

/**
 * The `_meta` key of a `tools/call` under which a client may give a key of its own choice: a call that is
 * repeated with the same key and arguments is the same task.
 */
export const IDEMPOTENCY_META = 'mcp-taskpool/idempotencyKey';

/** The value of {@link TASK_META}. On the protocol's wire `queued` and `running` are both `working`. */
export interface TaskMeta {
  state: 'queued' | 'running' | 'input_required' | 'completed' | 'failed' | 'cancelled';
  /** How many tasks start before this one; while it is queued. */
  ahead?: number;
  /** The id of the thread that runs or ran it. */
  thread?: number;
  /** From creation to start. */
  queuedMs?: number;
  /** From start to end; once it has ended. */
  ranMs?: number;
}
