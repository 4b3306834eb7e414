import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Argument, Command } from 'commander';
import type { Benchmark } from './benchmark.ts';
import { busy } from './busy.ts';
import { cancel } from './cancel.ts';
import { crash } from './crash.ts';
import { drawSpeedup } from './chart.ts';
import { http } from './http.ts';
import { latency } from './latency.ts';
import { RESULTS } from './places.ts';
import { queue } from './queue.ts';
import { print, targetRows, writeResults, type Measured } from './report.ts';
import { speedup } from './speedup.ts';
import { start } from './start.ts';
import { store } from './store.ts';
import { throughput } from './throughput.ts';

const BENCHMARKS: readonly Benchmark[] = [
  speedup,
  throughput,
  latency,
  cancel,
  crash,
  busy,
  queue,
  http,
  start,
  store,
];
const NAMES = BENCHMARKS.map(({ name }) => name);

await new Command('bench')
  .description(
    'Measures mcp-taskpool beside raw Piscina and the SDK. A run of everything writes ' +
      'bench/results/latest.json and speedup.svg; a run of some benchmarks, or a short one, writes nothing.',
  )
  .addArgument(new Argument('[name...]', 'the benchmarks to run; all without it').choices(NAMES))
  .option('--smoke', 'run each in short form, to see that it works; its figures mean nothing')
  .action(run)
  .parseAsync();

async function run(names: readonly string[], { smoke = false }: { smoke?: boolean }): Promise<void> {
  const chosen = BENCHMARKS.filter(({ name }) => names.length === 0 || names.includes(name));
  const measured: Measured[] = [];
  for (const benchmark of chosen) {
    console.log(`\n## ${benchmark.name}: ${benchmark.title}\n`);
    const started = performance.now();
    try {
      const report = await benchmark.run(smoke);
      measured.push({ benchmark, report });
      print(report.rows);
      console.log(`\n${report.notes.join('\n')}`);
    } catch (error) {
      // The others may work; a target that is missed does not come here.
      console.error(`${benchmark.name} FAILED:`, error);
      process.exitCode = 1;
    }
    console.log(`(${((performance.now() - started) / 1000).toFixed(1)} s)`);
  }
  if (smoke || measured.length === 0) return;
  console.log('\n## Targets\n');
  print(targetRows(measured));
  if (measured.length < BENCHMARKS.length) return;
  await writeResults(measured);
  const { rows } = measured.find(({ benchmark }) => benchmark === speedup)!.report;
  await writeFile(join(RESULTS, 'speedup.svg'), drawSpeedup(rows as Parameters<typeof drawSpeedup>[0]));
  console.log('\nWritten: bench/results/latest.json and speedup.svg');
}
