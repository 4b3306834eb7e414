import './printing.ts';
import { basename, extname } from 'node:path';
import { pathToFileURL } from 'node:url';
import { Worker, parentPort, workerData } from 'node:worker_threads';
import { z } from 'zod';
import { isTool } from '../../tool.ts';
import type { CatalogMessage, ToolEntry } from '../catalog.ts';

// A thread, or a process.
const send = (message: CatalogMessage) =>
  parentPort === null ? process.send!(message) : parentPort.postMessage(message);
const paths = (parentPort === null ? JSON.parse(process.argv[2]!) : workerData) as string[];

// A thread tells its parent of what nobody catches; a process has to say so itself.
if (parentPort === null) {
  endWithParent();
  const fault = (error: unknown) => {
    process.send!({ type: 'fault', reason: reasonOf(error) } satisfies CatalogMessage);
  };
  process.on('uncaughtException', fault).on('unhandledRejection', fault);
}

for (const path of paths) {
  send({ type: 'loading', path });
  try {
    send({ type: 'tool', entry: await read(path) });
  } catch (error) {
    send({ type: 'problem', path, reason: reasonOf(error) });
  }
}
send({ type: 'done' });

async function read(path: string): Promise<ToolEntry> {
  const module = pathToFileURL(path).href;
  const { default: tool } = (await import(module)) as { default?: unknown };
  if (!isTool(tool)) throw new Error('the default export is not a tool: export default defineTool({ … })');
  const name = tool.name ?? basename(path, extname(path));
  if (!/^[A-Za-z0-9_.-]{1,128}$/.test(name)) {
    throw new Error(`"${name}" cannot be a tool's name: use letters, digits, and the characters _ - .`);
  }
  const { title, description, annotations, maxMemoryMb, timeoutMs, ttlMs, pollIntervalMs, retry } = tool;
  return {
    path,
    module,
    lane: tool.workload ?? 'cpu',
    maxMemoryMb,
    env: tool.env ?? [],
    timeoutMs,
    ttlMs,
    pollIntervalMs,
    idempotent: tool.idempotent ?? false,
    retry: retry && { attempts: retry.attempts, backoff: retry.backoff ?? 'exponential' },
    task: tool.task ?? 'optional',
    prepares: tool.prepare !== undefined,
    definition: {
      name,
      ...(title !== undefined && { title }),
      description,
      inputSchema: jsonSchema(tool.input, 'input'),
      ...(tool.output !== undefined && { outputSchema: jsonSchema(tool.output, 'output') }),
      ...(annotations !== undefined && { annotations }),
    },
  };
}

function jsonSchema(schema: z.ZodObject, io: 'input' | 'output'): ToolEntry['definition']['inputSchema'] {
  try {
    // Of the dialects the one that every validator knows, those of today's SDKs among them.
    return z.toJSONSchema(schema, { io, target: 'draft-7' }) as ToolEntry['definition']['inputSchema'];
  } catch (error) {
    throw new Error(`\`${io}\` has no JSON Schema: ${reasonOf(error)}`, { cause: error });
  }
}

/**
 * Ends this process when the server has: by a thread that listens to an input which the server holds open, because
 * a module may never give way to the event loop.
 */
function endWithParent(): void {
  const source =
    "new (require('node:net').Socket)({ fd: 0 }).on('close', () => process.kill(process.pid, 'SIGKILL')).resume();";
  new Worker(source, { eval: true });
}

/** The first line of what went wrong. */
function reasonOf(error: unknown): string {
  if ((error as { code?: unknown } | null)?.code === 'ERR_UNKNOWN_FILE_EXTENSION') {
    return `Node ${process.version} does not run TypeScript: build it to JavaScript, or use Node 22.18 or newer`;
  }
  const message = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  return message.replace(/^Error: /, '').split('\n', 1)[0]!;
}
