import './printing.ts';
import { threadId } from 'node:worker_threads';
import { isTool, type Tool, type ToolContext } from '../tool.ts';
import type { Outcome } from '../tasks/task.ts';
import type { FromThread, Lease, ToThread } from './messages.ts';
import { Reporter } from './reporter.ts';
import { describe, errorResult, toOutcome } from './result.ts';
import { cancelled, flaggedController } from './signal.ts';

/**
 * The thread's end of the pool: Piscina calls it once, and it serves tasks from the port for as long
 * as the thread lives. It never returns; the pool ends it by ending the thread.
 */
export default function serve({ port, flags }: Lease): Promise<never> {
  const send = (message: FromThread) => port.postMessage(message);
  const running = new Map<string, AbortController>();

  port.on('message', (message: ToThread) => {
    switch (message.type) {
      case 'run':
        void run(message);
        return;
      case 'cancel':
        send({ type: 'cancelling', taskId: message.taskId });
        running.get(message.taskId)?.abort(cancelled());
    }
  });
  send({ type: 'ready', thread: threadId });
  // Nearly every tool module imports zod: the first call need not wait for it.
  void import('zod');
  return new Promise<never>(() => {});

  async function run({ taskId, tool: name, module, args, place }: ToThread & { type: 'run' }): Promise<void> {
    const controller = flaggedController(flags, place);
    running.set(taskId, controller);
    const reporter = new Reporter({
      progress: (progress) => send({ type: 'progress', taskId, progress }),
      log: (entries) => send({ type: 'log', taskId, entries }),
    });
    const context: ToolContext = {
      signal: controller.signal,
      taskId,
      progress: (done, total, message) =>
        reporter.progress({
          done,
          ...(total !== undefined && { total }),
          ...(message !== undefined && { message }),
        }),
      log: (level, message) => reporter.log({ level, message }),
    };
    let outcome: Outcome;
    try {
      outcome = await call(await load(module, name), args, context);
    } catch (error) {
      outcome = controller.signal.aborted ? { type: 'cancelled' } : errorResult(messageOf(error));
    }
    running.delete(taskId);
    reporter.close();
    finish(taskId, outcome);
  }

  function finish(taskId: string, outcome: Outcome): void {
    try {
      send({ type: 'finished', taskId, outcome });
    } catch (error) {
      // A result that cannot be cloned: a function in it, say.
      outcome = errorResult(`The tool's result cannot be sent: ${messageOf(error)}`);
      send({ type: 'finished', taskId, outcome });
    }
  }
}

/** Imports a tool's module; the runtime keeps it for the next call. */
async function load(module: string, name: string): Promise<Tool> {
  const { default: tool } = (await import(module)) as { default?: unknown };
  if (!isTool(tool)) throw new Error(`${name}: the module no longer has a tool as its default export`);
  return tool;
}

async function call(
  tool: Tool,
  args: Readonly<Record<string, unknown>>,
  context: ToolContext,
): Promise<Outcome> {
  const parsed = await tool.input.safeParseAsync(args);
  if (!parsed.success) return errorResult(`Invalid arguments: ${describe(parsed.error, 'arguments')}`);
  return toOutcome(tool, await tool.run(parsed.data, context));
}

/** The message of whatever was thrown, be it an object whose getters throw. */
function messageOf(error: unknown): string {
  try {
    if (error instanceof Error) return error.message || error.name;
    return typeof error === 'string' ? error : `The tool threw ${JSON.stringify(error) ?? String(error)}`;
  } catch {
    return 'The tool threw a value that cannot be read';
  }
}
