import { Agent } from 'node:http';
import { fileURLToPath } from 'node:url';
import type { Benchmark, Report } from './benchmark.ts';
import { HttpPeer, startHttp } from './http-peer.ts';
import { BENCH_TOOLS, CLI, THREADS } from './places.ts';
import { rate } from './rate.ts';
import { median, quantile, rounded } from './statistics.ts';

const SDK_SERVER = fileURLToPath(new URL('./sdk-server.js', import.meta.url));
const SESSIONS = 32;

/** What Streamable HTTP costs, beside the SDK's own server. */
export const http = {
  name: 'http',
  title: 'Streamable HTTP with keep-alive, a tool that does nothing, servers in processes of their own',
  async run(short): Promise<Report> {
    const rates = await throughput(short);
    const waits = await busyWaits(short);
    const sdk = rates.get(SDK)!;
    const share = (name: string) => median(rates.get(name)!.map((value, round) => value / sdk[round]!));
    return {
      rows: [
        ...[...rates].map(([what, all]) => ({
          what,
          figure: Math.round(median(all)),
          unit: 'a second',
          beside: `${rounded(share(what), 2)} of the SDK's plain call`,
        })),
        {
          what: `tasks/get while ${THREADS} threads spin and ${waits.sessions} sessions are open, p99`,
          figure: rounded(quantile(waits.spinning, 0.99)),
          unit: 'ms',
          beside: `idle ${rounded(quantile(waits.idle, 0.99))} ms`,
        },
      ],
      notes: [
        `${SESSIONS} sessions, a request of each under way. A task is two requests: its creation and its result.`,
        'One client in this process, the same for both servers, which has to share the cores with them.',
      ],
      targets: [
        {
          target: "no-op tasks over HTTP, created and their result had, as a share of the SDK's plain calls",
          measured: rounded(share(TASK)),
          atLeast: 0.5,
        },
        {
          target: `tasks/get over HTTP while every thread spins and ${waits.sessions} sessions are open, p99`,
          measured: rounded(quantile(waits.spinning, 0.99)),
          atMost: 25,
          unit: 'ms',
        },
      ],
    };
  },
} satisfies Benchmark;

const SDK = 'SDK server, plain call';
const PLAIN = 'this server, plain call';
const TASK = 'this server, task and its result';

function serve() {
  const options = ['--tools', BENCH_TOOLS, '--store', 'memory', '--rate-limit', '1000000'];
  return startHttp([CLI, 'serve', '--http', '0', ...options]);
}

async function throughput(short: boolean): Promise<Map<string, number[]>> {
  await using ours = await serve();
  await using theirs = await startHttp([SDK_SERVER, 'http']);
  const agent = new Agent({ keepAlive: true });
  const connect = (url: string) =>
    Promise.all(Array.from({ length: SESSIONS }, () => HttpPeer.connect(url, agent)));
  const [own, sdk] = [await connect(ours.url), await connect(theirs.url)];
  const inTurn = (peers: readonly HttpPeer[], call: (peer: HttpPeer) => Promise<unknown>) => {
    let next = 0;
    return () => call(peers[next++ % peers.length]!);
  };
  const plain = (peer: HttpPeer) => peer.ask('tools/call', { name: 'noop', arguments: {} });
  const task = async (peer: HttpPeer) => {
    const created = await peer.ask('tools/call', { name: 'noop', arguments: {}, task: {} });
    const { taskId } = created['task'] as { taskId: string };
    return peer.ask('tasks/result', { taskId });
  };
  const contenders = [
    [SDK, inTurn(sdk, plain)],
    [PLAIN, inTurn(own, plain)],
    [TASK, inTurn(own, task)],
  ] as const;
  const options = {
    inFlight: SESSIONS,
    warmUpMs: short ? 100 : 500,
    windowMs: short ? 200 : 1500,
  };
  const rates = new Map<string, number[]>(contenders.map(([name]) => [name, []]));
  for (let round = 0; round < (short ? 1 : 7); round++) {
    for (const [name, call] of contenders) rates.get(name)!.push(await rate(call, options));
  }
  agent.destroy();
  return rates;
}

async function busyWaits(short: boolean): Promise<{ sessions: number; idle: number[]; spinning: number[] }> {
  const sessions = short ? 10 : 200;
  await using server = await serve();
  const agent = new Agent({ keepAlive: true });
  const peers: HttpPeer[] = [];
  const streams: (() => void)[] = [];
  for (let n = 0; n < sessions; n++) {
    const peer = await HttpPeer.connect(server.url, agent);
    peers.push(peer);
    streams.push(await peer.listen());
  }
  const start = async (peer: HttpPeer, name: string) => {
    const { task } = await peer.ask('tools/call', { name, arguments: {}, task: {} });
    return (task as { taskId: string }).taskId;
  };
  const tasks = await Promise.all(peers.map((peer) => start(peer, 'noop')));
  await Promise.all(peers.map((peer, n) => peer.ask('tasks/result', { taskId: tasks[n]! })));
  const ask = async () => {
    const waits: number[] = [];
    for (let n = 0; n < (short ? 20 : 1500); n++) {
      const at = (n * 37) % peers.length;
      const sent = performance.now();
      await peers[at]!.ask('tasks/get', { taskId: tasks[at]! });
      waits.push(performance.now() - sent);
    }
    return waits;
  };
  await ask();
  const idle = await ask();
  const spins: [HttpPeer, string][] = [];
  for (const peer of peers.slice(0, THREADS)) spins.push([peer, await start(peer, 'ignore')]);
  const spinning = await ask();
  for (const [peer, taskId] of spins) await peer.ask('tasks/cancel', { taskId });
  for (const close of streams) close();
  agent.destroy();
  return { sessions, idle, spinning };
}
