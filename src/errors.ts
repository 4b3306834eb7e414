/**
 * The codes of the errors that a task can end with or that a request is refused with.
 * The negative ones above -32100 are JSON-RPC's and MCP's own; a wire passes them on as they are.
 */
export const ErrorCode = {
  parseError: -32700,
  invalidRequest: -32600,
  methodNotFound: -32601,
  invalidParams: -32602,
  internal: -32603,
  /** The server will not take the request now: a limit is reached, or it is closing. */
  refused: -32000,
  /** MCP's RequestTimeout. */
  timeout: -32001,
  /** The task, or the call, was cancelled (the code that LSP gave the same thing). */
  cancelled: -32800,
} as const;

/** An error that reaches the peer as a JSON-RPC error with this code, message and data. */
export class ProtocolError extends Error {
  override readonly name: string = 'ProtocolError';

  readonly code: number;
  readonly data: Record<string, unknown> | undefined;

  constructor(code: number, message: string, data?: Record<string, unknown>) {
    super(message);
    this.code = code;
    this.data = data;
  }
}

/** The task does not exist, has expired, or belongs to another owner: one answer for all three. */
export class UnknownTaskError extends ProtocolError {
  override readonly name = 'UnknownTaskError';

  constructor() {
    super(ErrorCode.invalidParams, 'Task not found: it does not exist, or has expired');
  }
}

/** A cancellation came after the end (2025-11-25, tasks, "Task Cancellation" 1). */
export class TaskEndedError extends ProtocolError {
  override readonly name = 'TaskEndedError';

  constructor(state: string) {
    super(ErrorCode.invalidParams, `Cannot cancel task: already in terminal status '${state}'`);
  }
}

/** A cursor of `tasks/list` that this server did not give out. */
export class InvalidCursorError extends ProtocolError {
  override readonly name = 'InvalidCursorError';

  constructor() {
    super(ErrorCode.invalidParams, 'Invalid cursor: pass the nextCursor of an earlier page, unchanged');
  }
}

/** A limit is reached, or the server is closing; nothing was recorded. */
export class RefusedError extends ProtocolError {
  override readonly name = 'RefusedError';

  constructor(message: string, data?: Record<string, unknown>) {
    super(ErrorCode.refused, message, data);
  }
}

/** The store cannot write now, because the disk is full, say; nothing was recorded. */
export class StoreUnavailableError extends ProtocolError {
  override readonly name = 'StoreUnavailableError';

  /** @param reason what keeps it from writing */
  constructor(reason: string, options?: { cause: unknown }) {
    super(ErrorCode.refused, `The task cannot be kept: ${reason}`);
    if (options !== undefined) this.cause = options.cause;
  }
}

/** Another task of the owner, which has not expired, has this idempotency key already. */
export class KeyTakenError extends Error {
  override readonly name = 'KeyTakenError';

  constructor() {
    super('The idempotency key is taken');
  }
}

/** The file of a store cannot be used: the message has its path, and what to do. Nothing in the file was changed. */
export class StoreError extends Error {
  override readonly name = 'StoreError';
}

/** An idempotency key was used before, for another tool or with other arguments. */
export class KeyReusedError extends ProtocolError {
  override readonly name = 'KeyReusedError';

  constructor(key: string) {
    super(
      ErrorCode.invalidParams,
      `The idempotency key ${JSON.stringify(key)} belongs to a task with another tool or other arguments`,
    );
  }
}

/** The tools folder cannot be served: one line for each module that is at fault. */
export class CatalogError extends Error {
  override readonly name = 'CatalogError';

  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(problems.join('\n'));
    this.problems = problems;
  }
}

/** An option of the server has a value it cannot have. */
export class OptionError extends Error {
  override readonly name = 'OptionError';
}
