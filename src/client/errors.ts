import { ErrorCode, type McpError } from '@modelcontextprotocol/sdk/types.js';

/** The code that our server (and LSP) gives to a task or a call that was cancelled. */
export const CANCELLED = -32800;

/**
 * A JSON-RPC error from the server: what a task ended with (it timed out, its thread died, …), or why a
 * request was refused (no such tool, no such task, …). What a tool itself reports as its failure is no
 * such error, but a result whose `isError` is true.
 */
export class TaskError extends Error {
  override readonly name: string = 'TaskError';

  /** The JSON-RPC error code. */
  readonly code: number;
  /** What else the server said. */
  readonly data: unknown;
  /** The task that the error is about, if there is one. */
  readonly taskId: string | undefined;

  constructor(code: number, message: string, options: { data?: unknown; taskId?: string | undefined } = {}) {
    super(message);
    this.code = code;
    this.data = options.data;
    this.taskId = options.taskId;
  }
}

/** There is no result: the task, or the call, was cancelled. */
export class TaskCancelledError extends TaskError {
  override readonly name = 'TaskCancelledError';

  constructor(
    taskId?: string,
    message = taskId === undefined ? 'Cancelled' : `Task ${taskId} was cancelled`,
  ) {
    super(CANCELLED, message, { taskId });
  }
}

/** `wait()` took longer than its `timeoutMs`; the task itself goes on. */
export class TaskWaitTimeoutError extends Error {
  override readonly name = 'TaskWaitTimeoutError';

  readonly taskId: string | undefined;
  readonly timeoutMs: number;
  /** The status that the task had last, as far as the client knows. */
  readonly lastStatus: string | undefined;

  constructor(taskId: string | undefined, timeoutMs: number, lastStatus: string | undefined) {
    const task = taskId === undefined ? 'the call' : `task ${taskId}`;
    super(`Waited ${timeoutMs} ms for ${task}; its last status: ${lastStatus ?? 'unknown'}`);
    this.taskId = taskId;
    this.timeoutMs = timeoutMs;
    this.lastStatus = lastStatus;
  }
}

/** The server did not answer a request in time. */
export class RequestTimeoutError extends Error {
  override readonly name = 'RequestTimeoutError';

  readonly method: string;
  readonly timeoutMs: number;

  constructor(method: string, timeoutMs: number) {
    super(`${method}: no answer within ${timeoutMs} ms`);
    this.method = method;
    this.timeoutMs = timeoutMs;
  }
}

/** The connection is closed, by the client or by the server. Tasks may go on at the server. */
export class ConnectionClosedError extends Error {
  override readonly name = 'ConnectionClosedError';
}

/** The server's answer does not have the form that the protocol gives it. */
export class InvalidAnswerError extends Error {
  override readonly name = 'InvalidAnswerError';
}

/** The SDK puts `MCP error <code>: ` before messages, a stock server once more: the server's own words. */
export function fromMcpError(error: McpError, taskId?: string): TaskError {
  const prefix = `MCP error ${error.code}: `;
  let { message } = error;
  while (message.startsWith(prefix)) message = message.slice(prefix.length);
  return new TaskError(error.code, message, { data: error.data, taskId });
}

/** Whether asking again may help: the request was lost on its way, rather than answered. */
export function isPassing(error: unknown): boolean {
  if (
    error instanceof TaskError ||
    error instanceof ConnectionClosedError ||
    error instanceof InvalidAnswerError
  ) {
    return false;
  }
  // An HTTP status: what the client did wrong stays wrong, but for "timeout" and "too many requests".
  const status = (error as { code?: unknown } | null | undefined)?.code;
  const refused = typeof status === 'number' && status >= 400 && status < 500;
  return !refused || status === 408 || status === 429;
}

/** Whether an error says that the method, or a tool in this mode, does not exist at the server. */
export function isMethodNotFound(error: unknown): boolean {
  return error instanceof TaskError && error.code === (ErrorCode.MethodNotFound as number);
}

/** What the server says it cannot do is not asked for. */
export function unsupported(method: string, taskId?: string): TaskError {
  return new TaskError(ErrorCode.MethodNotFound, `The server does not support ${method}`, { taskId });
}
