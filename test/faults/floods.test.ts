import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { EVERYWHERE, stage, type Scene } from './scene.ts';

const FLOOD_MS = 500;
const PAGE_BYTES = 4096;
/** What the runtime may take and give back meanwhile. */
const FLAT_MB = 100;

const flood = (report: string, pause = '', ms = FLOOD_MS) =>
  `run: async (_, { progress, log }) => {
    let n = 0;
    for (const end = Date.now() + ${ms}; Date.now() < end; ${pause}) { n++; ${report}; }
    return { n };
  }`;
const TURN = 'await new Promise(setImmediate)';

const tools = {
  progress: flood('progress(n, 1e9, `step ${n}`)'),
  progress_with_pauses: flood('progress(n)', TURN),
  log: flood("log('info', `line ${n}`)"),
  log_with_pauses: flood("log('info', `line ${n}`)", TURN),
  large_log: flood("log('info', 'x'.repeat(1e6) + n)", '', 300),
  large_progress: flood("progress(n, undefined, 'x'.repeat(1e6) + n)", '', 300),
  odd_log: "run: (_, { log }) => { log('info', new SharedArrayBuffer(8)); return 'done'; }",
  odd_progress: 'run: (_, { progress }) => { progress(1, () => {}, Symbol()); return 1; }',
};

type Params = Record<string, unknown>;

/** Runs a tool that floods; gives what came of it, and by how much the server grew. */
async function floodOf(scene: Scene, tool: string, method: string) {
  return scene.during(async (client) => {
    const from = scene.received.length;
    const before = sizeMb(scene);
    const { data, meta } = await client.startTask<{ n: number }>(tool);
    const messages = scene.received
      .slice(from)
      .filter((message) => 'method' in message && message.method === method)
      .map((message) => (message as { params: Params }).params);
    return { n: data.n, messages, batches: meta!.ranMs! / 50 + 2, grownMb: sizeMb(scene) - before };
  });
}

/** What the server's process holds. */
function sizeMb({ setting, child }: Scene): number {
  if (setting.where === 'in memory') return process.memoryUsage.rss() / 2 ** 20;
  const [, resident] = readFileSync(`/proc/${child.pid}/statm`, 'utf8').split(' ');
  return (Number(resident) * PAGE_BYTES) / 2 ** 20;
}

describe('A tool that reports without end', () => {
  stage(EVERYWHERE, tools, (scene) => {
    it.each(['progress', 'progress_with_pauses'])(
      'is heard 20 times a second, and its last word: %s',
      async (tool) => {
        const { n, messages, batches, grownMb } = await floodOf(scene, tool, 'notifications/progress');
        expect(messages.length).toBeLessThanOrEqual(batches);
        expect(messages.at(-1)).toMatchObject({ progress: n });
        expect(grownMb).toBeLessThan(FLAT_MB);
      },
    );

    it.each(['log', 'log_with_pauses'])('has its log cut, and counted: %s', async (tool) => {
      const { n, messages, batches, grownMb } = await floodOf(scene, tool, 'notifications/message');
      expect(messages.length).toBeLessThanOrEqual(batches * 101);
      const dropped = messages
        .map(({ data }) => /^(\d+) log messages dropped$/.exec(String(data)))
        .filter((match) => match !== null);
      const count = dropped.reduce((sum, [, count]) => sum + Number(count), 0);
      expect(messages.length - dropped.length + count).toBe(n);
      expect(grownMb).toBeLessThan(FLAT_MB);
    });

    it.each([
      ['large_log', 'notifications/message'],
      ['large_progress', 'notifications/progress'],
    ])('does not fill the server with long messages, either: %s', async (tool, method) => {
      const { messages, grownMb } = await floodOf(scene, tool, method);
      expect(messages.length).toBeGreaterThan(0);
      expect(grownMb).toBeLessThan(FLAT_MB);
    });

    it.each(['odd_log', 'odd_progress'])('harms nobody by what cannot be sent: %s', async (tool) => {
      const { status } = await scene.during((client) => scene.endOf(client.startTask(tool)));
      expect(['completed', 'failed']).toContain(status);
    });
  });
});
