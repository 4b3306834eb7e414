import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import { CsvError, parse } from 'csv-parse';
import { defineTool } from 'mcp-taskpool/tool';
import { z } from 'zod';
import { allowedPath, reason } from './_allowed_root.ts';
import { Column } from './_column.ts';

const MAX_COLUMNS = 1000;
/** A quote that is never closed makes one record of the rest of the file: the longest that is taken for one. */
const MAX_RECORD_CHARS = 1_000_000;
const ROWS_A_CHECK = 100;

const ColumnStats = z.object({
  name: z.string().describe('The name in the header row, or `column N` where that is empty'),
  type: z
    .enum(['number', 'text', 'empty'])
    .describe('`number` if every value is one, `empty` if there is none'),
  count: z.int().describe('Values that are not empty'),
  nulls: z.int().describe('Empty values'),
  mean: z.number().optional().describe('The mean of the numbers'),
  min: z.number().optional().describe('The least number'),
  max: z.number().optional().describe('The greatest number'),
  p25: z.number().optional().describe('A quarter of the numbers is not above this'),
  p50: z.number().optional().describe('The median'),
  p75: z.number().optional().describe('Three quarters of the numbers are not above this'),
  p95: z.number().optional().describe('95 % of the numbers are not above this'),
  quantilesAreEstimates: z.boolean().optional().describe('Within 0.5 % of a value; else they are exact'),
  distinct: z.int().optional().describe('How many different values a text column has'),
  distinctIsAtLeast: z
    .boolean()
    .optional()
    .describe('There were too many different values to count them all'),
});

export default defineTool({
  title: 'CSV statistics',
  description:
    'Statistics of each column of a CSV file with a header row: counts, empty values, and for numbers the mean, ' +
    'least, greatest and quantiles. Reads files of any size in little memory',
  env: ['MCP_TASKPOOL_ROOT'],
  input: z.object({
    path: z.string().min(1).describe('The CSV file'),
    delimiter: z.string().length(1).default(',').describe('The character between two values'),
  }),
  output: z.object({
    path: z.string().describe('The real path of the file'),
    bytes: z.int().describe('Its size'),
    rows: z.int().describe('How many rows it has below the header'),
    columns: z.array(ColumnStats).describe('The columns, in the order of the file'),
  }),
  annotations: { readOnlyHint: true, idempotentHint: true, openWorldHint: false },
  task: 'optional',
  workload: 'cpu',
  idempotent: true,
  async run({ path, delimiter }, { signal, progress }) {
    const real = await allowedPath(path);
    // Non-blocking: to open a pipe that nobody writes to would wait for ever.
    const file = await open(real, constants.O_RDONLY | constants.O_NONBLOCK).catch((error: unknown) => {
      throw new Error(`${path} ${reason(error)}`);
    });
    try {
      const bytes = await sizeOf(file, path);
      let columns: Column[] = [];
      let rows = 0;
      const parser = parse({
        delimiter,
        bom: true,
        skip_empty_lines: true,
        max_record_size: MAX_RECORD_CHARS,
      });
      const read = async (records: AsyncIterable<string[]>) => {
        for await (const record of records) {
          if (columns.length === 0) {
            columns = headerColumns(record, path);
            continue;
          }
          for (let i = 0; i < columns.length; i++) columns[i]!.add(record[i]!);
          if (++rows % ROWS_A_CHECK !== 0) continue;
          signal.throwIfAborted();
          progress(Math.min(parser.info.bytes, bytes), bytes, `${rows} rows`);
        }
      };
      const input = file.createReadStream({ autoClose: false });
      await pipeline(input, parser, read, { signal }).catch((error: unknown) => {
        signal.throwIfAborted();
        throw error instanceof CsvError ? new Error(`${path}, line ${malformed(error)}`) : error;
      });
      if (columns.length === 0) throw new Error(`${path} is empty: it has no header row`);
      progress(bytes, bytes, `${rows} rows`);
      return { path: real, bytes, rows, columns: columns.map((column) => column.result()) };
    } finally {
      await file.close();
    }
  },
});

async function sizeOf(file: FileHandle, path: string): Promise<number> {
  const stat = await file.stat();
  if (stat.isDirectory()) throw new Error(`${path} is a folder, not a CSV file`);
  if (!stat.isFile()) throw new Error(`${path} is not a regular file`);
  return stat.size;
}

function headerColumns(header: string[], path: string): Column[] {
  if (header.length > MAX_COLUMNS)
    throw new Error(
      `${path} has ${header.length} columns in its header row; at most ${MAX_COLUMNS} are supported`,
    );
  const seen = new Map<string, number>();
  return header.map((cell, i) => {
    const name = cell.trim() || `column ${i + 1}`;
    const before = seen.get(name);
    if (before !== undefined)
      throw new Error(
        `${path} has two columns named "${name}" in its header row: columns ${before} and ${i + 1}`,
      );
    seen.set(name, i + 1);
    return new Column(name);
  });
}

/** The line and what is wrong in it, shorter than the parser has it: some of its messages quote all it has read. */
function malformed(error: CsvError): string {
  const { lines, records: row } = error as CsvError & { lines: number; records: number };
  if (error.code === 'CSV_QUOTE_NOT_CLOSED')
    return `${lines}: the file ends within a quote, opened in row ${row} below the header`;
  if (error.code === 'CSV_MAX_RECORD_SIZE')
    return `${lines}: row ${row} below the header has over ${MAX_RECORD_CHARS} characters; is a quote left open?`;
  return `${lines}: ${error.message.replace(/ (at|on) line \d+/, '').slice(0, 200)}`;
}
