import { writeFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { TaskClient, ToolResult, ToolTask } from 'mcp-taskpool/client';
import { say, style, withRows, type Row } from './screen.ts';

/** The repository: what the file tools may read. */
export const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const PICTURE = fileURLToPath(new URL('../mandelbrot.png', import.meta.url));

export interface Step {
  readonly title: string;
  /** Throws where it did not do what its title says. */
  run(client: TaskClient): Promise<void>;
}

export const STEPS: readonly Step[] = [
  { title: 'An instant tool answers at once', run: instant },
  { title: 'A task can simply be awaited', run: awaited },
  { title: 'Three tasks of 3, 2 and 1 seconds take 3 seconds', run: together },
  { title: 'CPU-bound tasks run side by side', run: sideBySide },
  { title: 'While every thread computes, the server answers', run: responsive },
  { title: 'A result can be fetched later, by its id', run: later },
  { title: 'Progress comes while the work goes on', run: withProgress },
  { title: 'An endless computation is cancelled', run: cancelled },
];

async function instant(client: TaskClient): Promise<void> {
  const started = performance.now();
  const result = await client.callTool<string>('greet', { name: 'Ada' });
  say(`greet: ${JSON.stringify(result.data)}  ${cost(started, result)}`);
  check(result.data === 'Hello, Ada!', 'greet did not greet');
}

async function awaited(client: TaskClient): Promise<void> {
  const started = performance.now();
  const result = await client.startTask<{ count: number }>('count_primes', { limit: 10_000_000 });
  say(`primes below 10,000,000: ${result.data.count.toLocaleString('en')}  ${cost(started, result)}`);
  check(result.data.count === 664_579, 'count_primes miscounted');
}

async function together(client: TaskClient): Promise<void> {
  const started = performance.now();
  await withRows(async (row) => {
    await Promise.all(
      [3, 2, 1].map((seconds) => follow(row(`sleep ${seconds} s`), client.startTask('sleep', { seconds }))),
    );
  });
  const seconds = (performance.now() - started) / 1000;
  say(`together: ${seconds.toFixed(2)} s, one after another it would be 6 s`);
  check(seconds < 5, 'the tasks did not run at the same time');
}

async function sideBySide(client: TaskClient): Promise<void> {
  const tasks = Math.min(availableParallelism(), 4);
  // Equal shares of work: the upper part of the range, where a segment costs the same everywhere.
  const ranges = Array.from({ length: tasks }, (_, n) => ({
    from: 700_000_000 + n * 60_000_000,
    limit: 760_000_000 + n * 60_000_000,
  }));
  const sequentially = await time(async () => {
    for (const range of ranges) await client.startTask('count_primes', range);
  });
  const started = performance.now();
  const results = await withRows((row) =>
    Promise.all(
      ranges.map((range, n) =>
        follow(row(`count_primes ${n + 1} of ${tasks}`), client.startTask('count_primes', range)),
      ),
    ),
  );
  const parallel = performance.now() - started;
  say(
    `one after another ${ms(sequentially)}, side by side ${ms(parallel)}: ` +
      style('green', `${(sequentially / parallel).toFixed(2)} x as fast on ${tasks} threads`),
  );
  // Not by the speedup: a machine that has other things to do gives less than its cores.
  const busy = results.reduce((sum, { meta }) => sum + meta!.ranMs!, 0);
  check(tasks === 1 || busy > 1.3 * parallel, 'the tasks did not run at the same time');
}

async function responsive(client: TaskClient): Promise<void> {
  const tasks = Array.from({ length: availableParallelism() + 2 }, () => client.startTask('spin', {}));
  await Promise.all(tasks.slice(0, -2).map((task) => task.wait({ status: 'working' })));
  const waits: number[] = [];
  for (let n = 0; n < 20; n++) {
    waits.push(await time(() => client.callTool('greet', { name: 'Bob' })));
  }
  for (const [n, task] of tasks.entries()) {
    const { status, statusMessage, thread } = await task.status();
    say(`task ${n + 1}: ${status} (${statusMessage})${thread === undefined ? '' : `  thread ${thread}`}`);
    check(status === (n < tasks.length - 2 ? 'working' : 'submitted'), `task ${n + 1} is ${status}`);
  }
  await Promise.all(tasks.toReversed().map((task) => task.cancel()));
  const median = waits.toSorted((a, b) => a - b)[waits.length >> 1]!;
  say(`meanwhile 20 calls of greet were answered, each in ${ms(median)} (median)`);
}

async function later(client: TaskClient): Promise<void> {
  const started = client.startTask('mandelbrot', {});
  const taskId = (await started.created())!;
  say(`started mandelbrot: ${taskId}`);
  const task = client.task(taskId);
  await task.wait({ status: 'completed' });
  const began = performance.now();
  const result = await task.result();
  const image = result.content.find((block) => block.type === 'image');
  check(image?.mimeType === 'image/png', 'mandelbrot returned no picture');
  const bytes = Buffer.from(image.data, 'base64');
  await writeFile(PICTURE, bytes);
  say(
    `fetched ${kilobytes(bytes.length)} in ${ms(performance.now() - began)}: ${relative(process.cwd(), PICTURE)}  ${ran(result)}`,
  );
}

async function withProgress(client: TaskClient): Promise<void> {
  await withRows(async (row) => {
    const [duplicates, weather] = await Promise.all([
      follow(
        row('find_duplicates'),
        client.startTask<Duplicates>('find_duplicates', { path: `${ROOT}node_modules` }),
        ({ groupCount, wastedBytes }) => `${groupCount} groups, ${kilobytes(wastedBytes)} wasted`,
      ),
      follow(
        row('csv_stats'),
        client.startTask<Statistics>('csv_stats', { path: `${ROOT}demo/data/seattle-weather.csv` }),
        ({ rows, columns }) =>
          `${rows} days, warmest ${columns.find(({ name }) => name === 'temp_max')?.max} °C`,
      ),
    ]);
    check(duplicates.data.files > 1000 && duplicates.data.groupCount > 0, 'find_duplicates found nothing');
    check(weather.data.rows === 1461, 'csv_stats missed rows');
  });
}

async function cancelled(client: TaskClient): Promise<void> {
  const task = client.startTask('spin', {});
  await task.wait({ status: 'working' });
  const acknowledged = await time(() => task.cancel());
  const { status } = await task.status();
  check(status === 'cancelled', `the task is ${status}`);
  const next = client.startTask('count_primes', { limit: 1000 });
  const free = await time(() => next.result());
  say(
    `while (true) cancelled in ${ms(acknowledged)}; the next task was done ${ms(free)} later  ${ran(await next)}`,
  );
}

interface Duplicates {
  files: number;
  groupCount: number;
  wastedBytes: number;
}

interface Statistics {
  rows: number;
  columns: { name: string; max?: number }[];
}

/** Shows a task in a row until it has ended. */
async function follow<T>(
  row: Row,
  task: ToolTask<T>,
  words: (data: T) => string = () => '',
): Promise<ToolResult<T>> {
  task.onProgress(({ progress, total, message }) => row.progress(progress, total ?? progress, message));
  const started = performance.now();
  const result = await task.result();
  check(!result.isError, result.text);
  row.end(`${words(result.data)}${words(result.data) && '  '}${cost(started, result)}`);
  return result;
}

async function time(work: () => Promise<unknown>): Promise<number> {
  const started = performance.now();
  await work();
  return performance.now() - started;
}

function cost(started: number, result: ToolResult): string {
  return `${ms(performance.now() - started)}  ${ran(result)}`;
}

function ran({ meta }: ToolResult): string {
  return style('cyan', `thread ${meta?.thread}`);
}

function ms(duration: number): string {
  return duration < 1000
    ? `${duration.toFixed(duration < 10 ? 1 : 0)} ms`
    : `${(duration / 1000).toFixed(2)} s`;
}

function kilobytes(bytes: number): string {
  return `${Math.round(bytes / 1000).toLocaleString('en')} kB`;
}

function check(condition: boolean, problem: string): asserts condition {
  if (!condition) throw new Error(problem);
}
