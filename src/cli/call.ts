import { Command, InvalidArgumentError } from 'commander';
import { print, resultLines } from './print.ts';

interface Options {
  tools: string;
}

/** `mcp-taskpool call`: one tool, once, to try it out. */
export function callCommand(): Command {
  return new Command('call')
    .description('Call one tool of a folder and print its result; progress goes to stderr')
    .argument('<tool>', "the tool's name")
    .argument('[arguments]', 'a JSON object', json, {})
    .option('--tools <dir>', 'the folder of tool modules', 'tools')
    .action(call);
}

async function call(name: string, args: Record<string, unknown>, { tools }: Options): Promise<void> {
  const [{ InMemoryTransport }, { createServer }, { TaskClient }] = await Promise.all([
    import('@modelcontextprotocol/sdk/inMemory.js'),
    import('../server.ts'),
    import('../client/client.ts'),
  ]);
  await using server = await createServer({ tools, threads: 1 });
  const [near, far] = InMemoryTransport.createLinkedPair();
  await server.connect(far);
  await using client = await TaskClient.connect(near);
  const interrupted = new AbortController();
  process.once('SIGINT', () => interrupted.abort(new Error('interrupted')));
  const result = await client.callTool(name, args, {
    signal: interrupted.signal,
    onProgress: ({ progress, total, message }) => {
      console.error(
        `${progress}${total === undefined ? '' : ` of ${total}`}${message ? `  ${message}` : ''}`,
      );
    },
  });
  await print(resultLines(result.content));
  if (result.isError) process.exitCode = 1;
}

function json(value: string): Record<string, unknown> {
  let parsed: unknown;
  try {
    parsed = JSON.parse(value);
  } catch (error) {
    throw new InvalidArgumentError((error as Error).message);
  }
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) {
    throw new InvalidArgumentError('Expected a JSON object.');
  }
  return parsed as Record<string, unknown>;
}
