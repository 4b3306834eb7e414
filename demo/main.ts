import { fileURLToPath } from 'node:url';
import { InMemoryTransport } from '@modelcontextprotocol/sdk/inMemory.js';
import { createServer } from 'mcp-taskpool';
import { TaskClient } from 'mcp-taskpool/client';
import { heading, say, style } from './screen.ts';
import { ROOT, STEPS } from './steps.ts';

const TOOLS = fileURLToPath(new URL('../tools/', import.meta.url));
const CLI = fileURLToPath(new URL('../src/cli/main.js', import.meta.url));

// The file tools read below this folder only.
process.env['MCP_TASKPOOL_ROOT'] = ROOT;
process.exitCode = 1;
const started = performance.now();

let failed = 0;
heading('── One process: client and server in memory ──');
{
  await using server = await createServer({ tools: TOOLS });
  const [near, far] = InMemoryTransport.createLinkedPair();
  await server.connect(far);
  await using client = await TaskClient.connect(near);
  failed += await play(client);
}
heading('── Two processes: client and spawned server over stdio ──');
{
  await using client = await TaskClient.connect({
    command: process.execPath,
    args: [CLI, 'serve', '--tools', TOOLS, '--store', 'memory'],
    env: { MCP_TASKPOOL_ROOT: ROOT },
  });
  failed += await play(client);
}

const seconds = ((performance.now() - started) / 1000).toFixed(1);
heading(
  failed === 0
    ? style('green', `All steps did what they say, in ${seconds} s`)
    : style('red', `${failed} steps failed`),
);
process.exitCode = failed === 0 ? 0 : 1;

async function play(client: TaskClient): Promise<number> {
  let failures = 0;
  for (const [n, step] of STEPS.entries()) {
    heading(`${n + 1}. ${step.title}`);
    try {
      await step.run(client);
    } catch (error) {
      failures++;
      say(style('red', `FAILED: ${error instanceof Error ? error.message : String(error)}`));
    }
  }
  return failures;
}
