import { Server, type JSONRPCRequest, type Result, type ServerContext } from '@modelcontextprotocol/server';

type Handler = (request: JSONRPCRequest, context: ServerContext) => Promise<Result>;

/** Carries a created task past the SDK's check of what a tool call may answer, which knows of none. */
class TaskCreated extends Error {
  override readonly name = 'TaskCreated';
  readonly result: Result;

  constructor(result: Result) {
    super();
    this.result = result;
  }
}

/** The SDK's server, whose `tools/call` may be answered with a task as well; all its checks are kept. */
export class TasksServer extends Server {
  protected override _wrapHandler(method: string, handler: Handler): Handler {
    if (method !== 'tools/call') return super._wrapHandler(method, handler);
    const checked = super._wrapHandler(method, async (request, context) => {
      const result = await handler(request, context);
      if (result['resultType'] === 'task') throw new TaskCreated(result);
      return result;
    });
    return async (request, context) => {
      try {
        return await checked(request, context);
      } catch (error) {
        if (error instanceof TaskCreated) return error.result;
        throw error;
      }
    };
  }
}
