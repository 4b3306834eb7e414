import { toolSource } from '../folder.ts';

/** How long what `short_lived` gives is kept. */
export const SHORT_MS = 2500;

const BEFORE = `
  import { appendFileSync, existsSync } from 'node:fs';
  const leave = (path, line) => appendFileSync(path, line + '\\n');
  const opened = async (gate) => {
    while (!existsSync(gate)) await new Promise((resolve) => setTimeout(resolve, 5));
  };
`;

const tool = (options: string) => toolSource(options, BEFORE);
const QUESTION = 'requestedSchema: z.object({ n: z.int() })';

/** Of all tests of this folder. `trace` is a file that has a line for each start, and `gate` one that is waited for. */
export const TOOLS = {
  'quick.js': tool("run: () => 'quick'"),
  'trace.js': tool(`
    input: z.object({ trace: z.string(), line: z.string() }),
    run: ({ trace, line }) => {
      leave(trace, line);
      return { line };
    }`),
  'wait.js': tool(`
    input: z.object({ trace: z.string(), gate: z.string(), mark: z.string().optional() }),
    run: async ({ trace, gate, mark }, { attempt }) => {
      leave(trace, 'start ' + attempt);
      await opened(gate);
      leave(trace, 'end ' + attempt);
      return { attempt, mark };
    }`),
  // The gate of each run is its own.
  'wait_safely.js': tool(`
    idempotent: true,
    input: z.object({ trace: z.string(), gate: z.string(), mark: z.string() }),
    run: async ({ trace, gate, mark }, { attempt, checkpoint, checkpointed }) => {
      leave(trace, 'start ' + attempt);
      if (checkpointed === undefined) checkpoint({ mark });
      await opened(gate + attempt);
      leave(trace, 'end ' + attempt);
      return { attempt, checkpointed };
    }`),
  'kill_server.js': tool(`
    idempotent: true,
    input: z.object({ trace: z.string() }),
    run: ({ trace }, { attempt }) => {
      leave(trace, 'start ' + attempt);
      process.kill(process.ppid, 'SIGKILL');
      return new Promise(() => {});
    }`),
  'ask.js': tool(`
    input: z.object({ trace: z.string() }),
    run: async ({ trace }, { input, attempt }) => {
      leave(trace, 'start ' + attempt);
      const first = await input({ key: 'first-number', message: 'First?', ${QUESTION} });
      const second = await input({ message: 'Second?', ${QUESTION} });
      return { numbers: [first.content.n, second.content.n] };
    }`),
  'spin.js': tool(`
    input: z.object({ trace: z.string() }),
    run: ({ trace }) => {
      leave(trace, 'start');
      for (;;);
    }`),
  'time_out.js': tool(`
    timeoutMs: 1500,
    input: z.object({ trace: z.string() }),
    run: ({ trace }) => {
      leave(trace, 'start');
      return new Promise(() => {});
    }`),
  'short_lived.js': tool(`ttlMs: ${SHORT_MS}, run: () => 'short-lived'`),
};
