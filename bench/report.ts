import { mkdir, writeFile } from 'node:fs/promises';
import { cpus, totalmem } from 'node:os';
import { join } from 'node:path';
import { markdownTable } from 'markdown-table';
import { isMet, type Benchmark, type Report, type Row } from './benchmark.ts';
import { RESULTS, THREADS } from './places.ts';

/** A benchmark with what it measured. */
export interface Measured {
  readonly benchmark: Benchmark;
  readonly report: Report;
}

/** Prints a table that can be pasted into a Markdown file as it is. */
export function print(rows: readonly Row[]): void {
  const columns = Object.keys(rows[0]!);
  const align = columns.map((column) => (typeof rows[0]![column] === 'number' ? 'r' : 'l'));
  const cells = rows.map((row) => columns.map((column) => format(row[column]!)));
  console.log(markdownTable([columns, ...cells], { align }));
}

export function targetRows(measured: readonly Measured[]): Row[] {
  return measured.flatMap(({ report }) =>
    report.targets.map((target) => {
      const unit = target.unit === undefined ? '' : ` ${target.unit}`;
      const limit =
        'atLeast' in target ? `at least ${format(target.atLeast)}` : `at most ${format(target.atMost)}`;
      return {
        target: target.target,
        limit: `${limit}${unit}`,
        measured: `${format(target.measured)}${unit}`,
        '': isMet(target) ? 'met' : 'NOT MET',
      };
    }),
  );
}

export async function writeResults(measured: readonly Measured[]): Promise<void> {
  const latest = {
    machine: {
      cpu: cpus()[0]?.model ?? 'unknown',
      cores: THREADS,
      memoryGiB: Math.round(totalmem() / 2 ** 30),
    },
    node: process.version,
    date: new Date().toISOString(),
    benchmarks: Object.fromEntries(
      measured.map(({ benchmark: { name, title }, report }) => [
        name,
        { title, ...report, targets: report.targets.map((target) => ({ ...target, met: isMet(target) })) },
      ]),
    ),
  };
  await mkdir(RESULTS, { recursive: true });
  await writeFile(join(RESULTS, 'latest.json'), `${JSON.stringify(latest, undefined, 2)}\n`);
}

function format(value: string | number): string {
  return typeof value === 'number' ? value.toLocaleString('en', { maximumSignificantDigits: 6 }) : value;
}
