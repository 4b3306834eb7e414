import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Benchmark, Report } from './benchmark.ts';
import { CLI, TOOLS } from './places.ts';
import { median, rounded } from './statistics.ts';

const SDK_SERVER = fileURLToPath(new URL('./sdk-server.js', import.meta.url));

const INITIALIZE = {
  jsonrpc: '2.0',
  id: 1,
  method: 'initialize',
  params: { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'bench', version: '0' } },
};
const INITIALIZED = { jsonrpc: '2.0', method: 'notifications/initialized' };
const LIST = { jsonrpc: '2.0', id: 2, method: 'tools/list' };

/** How long a client waits that starts the server. */
export const start = {
  name: 'start',
  title: 'From the start of the process to its answers, over stdio',
  async run(short): Promise<Report> {
    const folder = await mkdtemp(join(tmpdir(), 'mcp-taskpool-'));
    // As users have it, but for the place: the tasks in a file, which from the second round on is there.
    const ours = [CLI, 'serve', '--tools', TOOLS, '--store', `sqlite:${join(folder, 'tasks.db')}`];
    const servers = new Map<string, { args: readonly string[]; first: number[]; list: number[] }>([
      ['SDK, one tool', { args: [SDK_SERVER], first: [], list: [] }],
      ['this server, the example tools', { args: ours, first: [], list: [] }],
    ]);
    for (let round = 0; round < (short ? 1 : 15); round++) {
      for (const { args, first, list } of servers.values()) {
        const took = await timeStart(args);
        first.push(took.first);
        list.push(took.list);
      }
    }
    await rm(folder, { recursive: true });
    const [sdk, own] = [...servers.values()];
    const ratio = median(own!.first.map((value, round) => value / sdk!.first[round]!));
    return {
      rows: [...servers].map(([what, { first, list }]) => ({
        what,
        'first answer, p50 ms': Math.round(median(first)),
        'list of tools, p50 ms': Math.round(median(list)),
      })),
      notes: ['They take turns; the ratio is that of each pair.'],
      targets: [
        {
          target: "start to the first answer over stdio, as a multiple of the SDK's minimal server",
          measured: rounded(ratio, 2),
          atMost: 1.3,
        },
      ],
    };
  },
} satisfies Benchmark;

async function timeStart(args: readonly string[]): Promise<{ first: number; list: number }> {
  const started = performance.now();
  const child = spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'inherit'] });
  const exited = once(child, 'exit');
  const say = (message: object) => child.stdin.write(`${JSON.stringify(message)}\n`);
  say(INITIALIZE);
  const answers = child.stdout[Symbol.asyncIterator]();
  const answered = async (id: number) => {
    for (let heard = ''; !heard.includes(`"id":${id}`);) heard += String((await answers.next()).value);
    return performance.now() - started;
  };
  const first = await answered(1);
  say(INITIALIZED);
  say(LIST);
  const list = await answered(2);
  child.stdin.end();
  await exited;
  return { first, list };
}
