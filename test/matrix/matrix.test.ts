import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { InMemoryTransport } from '@modelcontextprotocol/sdk/inMemory.js';
import { createServer } from 'mcp-taskpool';
import {
  RequestTimeoutError,
  TaskCancelledError,
  TaskClient,
  TaskError,
  type ConnectOptions,
  type Target,
  type ToolResult,
} from 'mcp-taskpool/client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startHttpServer } from '../http-server.ts';
import { folderOf, removeFolder } from './tools.ts';

const CLI = fileURLToPath(new URL('../../dist/src/cli/main.js', import.meta.url));

/** How it ends: by what the tool returned, by its own error, by an error of the protocol, or when it is stopped. */
type End = { data: unknown } | { isError: string } | { error: string } | 'stopped';

const SUM: End = { data: { sum: 3 } };
const ANSWER: End = { data: { name: 'Ada' } };

/** What a kind of tool comes to, whatever lies between, and what it is where a task is asked for. */
const KINDS: Readonly<Record<string, { end: End; mode: 'call' | 'task' }>> = {
  sync: { end: SUM, mode: 'call' },
  optional: { end: SUM, mode: 'task' },
  required: { end: SUM, mode: 'task' },
  failing: { end: { isError: 'it is no good' }, mode: 'task' },
  throwing: { end: { isError: 'it broke' }, mode: 'task' },
  slow: { end: { error: 'slow timed out after 50 ms' }, mode: 'task' },
  asking: { end: ANSWER, mode: 'task' },
  asking_first: { end: ANSWER, mode: 'task' },
  endless: { end: 'stopped', mode: 'task' },
};

/** How long an endless call is left to run. */
const ENOUGH_MS = 300;

async function endOf(result: Promise<ToolResult>): Promise<End> {
  try {
    const { isError, text, data } = await result;
    return isError ? { isError: text } : { data };
  } catch (error) {
    if (error instanceof TaskCancelledError || error instanceof RequestTimeoutError) return 'stopped';
    if (error instanceof TaskError) return { error: error.message };
    throw error;
  }
}

const GENERATIONS = ['2025-11-25', '2026-07-28'] as const;
const TRANSPORTS = ['memory', 'stdio', 'HTTP'] as const;
const ISOLATIONS = ['thread', 'process'] as const;

const CELLS = GENERATIONS.flatMap((protocol) =>
  TRANSPORTS.flatMap((transport) => ISOLATIONS.map((isolation) => ({ protocol, transport, isolation }))),
);

let tools: string;
beforeAll(async () => {
  tools = await folderOf();
});
afterAll(() => removeFolder(tools));

describe.each(CELLS)(
  '$protocol over $transport, tools in a $isolation',
  ({ protocol, transport, isolation }) => {
    let client: TaskClient;
    const ends: (() => Promise<unknown>)[] = [];
    beforeAll(async () => {
      const options: ConnectOptions = {
        protocol,
        onElicit: () => ({ action: 'accept', content: { name: 'Ada' } }),
      };
      client = await TaskClient.connect(await open(), options);
      ends.unshift(() => client.close());
    });
    afterAll(async () => {
      for (const end of ends) await end();
    });

    async function open(): Promise<Target> {
      const args = ['--tools', tools, '--isolation', isolation, '--threads', '2', '--log-level', 'silent'];
      if (transport === 'stdio') {
        const store = `sqlite:${join(tools, `${protocol}-${isolation}.db`)}`;
        return { command: process.execPath, args: [CLI, 'serve', '--store', store, ...args] };
      }
      if (transport === 'HTTP') {
        const server = await startHttpServer(args);
        ends.push(() => server.stop());
        return { url: server.url };
      }
      const server = await createServer({ tools, isolation, threads: 2 });
      ends.push(() => server.close({ drainMs: 0 }));
      const [near, far] = InMemoryTransport.createLinkedPair();
      await server.serve(far);
      return near;
    }

    it.each(Object.entries(KINDS))('calls a tool that is %s', async (name, { end }) => {
      const call = client.callTool(name, { a: 1, b: 2 }, end === 'stopped' ? { timeoutMs: ENOUGH_MS } : {});
      await expect(endOf(call)).resolves.toEqual(end);
    });

    it.each(Object.entries(KINDS))('starts a tool as a task that is %s', async (name, { end, mode }) => {
      const task = client.startTask(name, { a: 1, b: 2 });
      await task.created();
      if (end === 'stopped') await task.cancel();
      await expect(endOf(task.result())).resolves.toEqual(end);
      expect(task.mode).toBe(mode);
    });

    it('has its threads back after all that', async () => {
      const tasks = Array.from({ length: 4 }, () => client.startTask('optional', { a: 1, b: 2 }));
      await expect(Promise.all(tasks.map((task) => endOf(task.result())))).resolves.toEqual([
        SUM,
        SUM,
        SUM,
        SUM,
      ]);
    });
  },
);
