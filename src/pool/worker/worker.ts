import './printing.ts';
import { isTool, type Tool } from '../../tool.ts';
import type { Outcome, Preparation } from '../../tasks/task.ts';
import { CallContext } from './context.ts';
import { failureOf, stackOf, thrown } from './failure.ts';
import { onFault, runAs } from './faults.ts';
import { inspectJson } from './inspect-json.ts';
import { Lingerer } from './linger.ts';
import { MEMORY, type FromThread, type Lease, type ToThread } from '../messages.ts';
import { describe, errorResult, toOutcome } from './result.ts';
import { judge, type Verdict } from './verdict.ts';

/**
 * The thread's end of the pool: Piscina calls it once, and it serves tasks from the port for as long
 * as the thread lives. It never returns; the pool ends it by ending the thread.
 */
export default function serve({ port, flags, posted, memory, alone, maxResultMb }: Lease): Promise<never> {
  const send = (message: FromThread) => port.postMessage(message);
  const running = new Map<number, CallContext>();
  const lingerer = new Lingerer(port, posted);

  port.on('message', (message: ToThread) => {
    lingerer.turned();
    receive(message);
  });
  onFault((context, error) => {
    const { message } = failureOf(error, context?.args ?? {});
    if (context === undefined) return send({ type: 'fault', message, stack: stackOf(error) });
    const { run, taskId, tool, retry } = context;
    send({ type: 'fault', call: { run, taskId, tool }, message, ...judge(error, retry) });
  });
  send({ type: 'ready' });
  // Nearly every tool module imports zod: the first call need not wait for it.
  void import('zod');
  return new Promise<never>(() => {});

  function receive(message: ToThread): void {
    switch (message.type) {
      case 'run':
        void run(message);
        return;
      case 'cancel':
        send({ type: 'cancelling', run: message.run });
        running.get(message.run)?.cancel();
        return;
      case 'answer':
        running.get(message.run)?.answered(message.ask, message.answer);
        return;
      case 'measure':
        measure(memory);
    }
  }

  async function run(message: ToThread & { type: 'run' }): Promise<void> {
    const { tool: name, module, args } = message;
    const context = new CallContext(message, flags, send);
    running.set(message.run, context);
    let outcome: Outcome;
    let verdict: Verdict | undefined;
    try {
      const tool = tools.get(module) ?? (await load(module, name));
      context.retry = tool.retry;
      // It may have been cancelled while the module was loaded.
      outcome = context.cancelled
        ? { type: 'cancelled' }
        : await runAs(context, () => call(tool, context, message, tool.maxResultMb ?? maxResultMb));
    } catch (error) {
      if (context.cancelled) outcome = { type: 'cancelled' };
      else {
        outcome = thrown(failureOf(error, args));
        verdict = context.threw
          ? runAs(context, () => judge(error, context.retry))
          : { mayRepeat: false, stack: stackOf(error) };
      }
    }
    running.delete(message.run);
    context.close();
    finish(message.run, outcome, verdict);
    if (!alone) return;
    for (let next = lingerer.next(); next !== undefined; next = lingerer.next()) {
      receive(next);
      // Comes back here when it has finished.
      if (next.type === 'run') return;
    }
  }

  function finish(run: number, outcome: Outcome, verdict: Verdict | undefined): void {
    try {
      send({ type: 'finished', run, outcome, ...verdict });
    } catch {
      // It was looked through, and then had something else in it.
      const failed = errorResult("The tool's result cannot be sent: it changes as it is read");
      send({ type: 'finished', run, outcome: failed });
    }
  }
}

/** Says what this thread holds: its heap, and its buffers beside it. */
function measure(memory: Int32Array): void {
  const { heapTotal, external } = process.memoryUsage();
  Atomics.store(memory, MEMORY.held, Math.round((heapTotal + external) / 2 ** 20));
  Atomics.store(memory, MEMORY.asked, 0);
}

/** The tools that were called on this thread, by their modules. */
const tools = new Map<string, Tool>();

async function load(module: string, name: string): Promise<Tool> {
  const { default: tool } = (await import(module)) as { default?: unknown };
  if (!isTool(tool)) throw new Error(`${name}: the module no longer has a tool as its default export`);
  tools.set(module, tool);
  return tool;
}

async function call(
  tool: Tool,
  context: CallContext,
  { prepare, prepared }: ToThread & { type: 'run' },
  maxResultMb: number,
): Promise<Outcome> {
  let value = prepared?.value;
  if (prepared === undefined) {
    const parsed = await tool.input.safeParseAsync(context.args);
    if (!parsed.success) return errorResult(`Invalid arguments: ${describe(parsed.error, 'arguments')}`);
    if (prepare !== undefined) return rehearse(tool, parsed.data, context, maxResultMb);
    value =
      tool.prepare === undefined
        ? parsed.data
        : await ownCode(context, () => tool.prepare!(parsed.data, context));
  }
  return toOutcome(tool, await ownCode(context, () => tool.run(value as never, context)), maxResultMb);
}

/** Runs code of the tool's, and notes where it is that which throws: another run may do better. */
async function ownCode<T>(context: CallContext, code: () => T | Promise<T>): Promise<T> {
  try {
    return await code();
  } catch (error) {
    context.threw = true;
    throw error;
  }
}

/** What comes before the run, as far as it goes with the answers that there are. */
async function rehearse(
  tool: Tool,
  args: Readonly<Record<string, unknown>>,
  context: CallContext,
  maxResultMb: number,
): Promise<Outcome> {
  const preparing = async (): Promise<Preparation> => ({
    type: 'prepared',
    value: tool.prepare === undefined ? args : await ownCode(context, () => tool.prepare!(args, context)),
  });
  const asking = context.unanswered!.then((questions): Preparation => ({ type: 'asks', questions }));
  const preparation = await Promise.race([preparing(), asking]);
  const travel = inspectJson(preparation, maxResultMb * 2 ** 20);
  if (!travel.fit)
    return errorResult(`What \`prepare\` gives cannot be sent: ${travel.path}: ${travel.reason}`);
  const result = travel.plain ? preparation : (JSON.parse(JSON.stringify(preparation)) as Preparation);
  return { type: 'result', result: { ...result }, isError: false };
}
