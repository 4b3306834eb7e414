import { chmod, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import csvStats from '../../tools/csv_stats.ts';
import { abortAtOnce, recordingContext } from './context.ts';
import { temporaryRoot, withoutPrivileges } from './temporary_root.ts';

const root = temporaryRoot();

async function stats(path: string, delimiter?: string) {
  const result = await csvStats.run(csvStats.input.parse({ path, delimiter }), recordingContext().context);
  return csvStats.output!.parse(result);
}

async function statsOf(content: string | Uint8Array, delimiter?: string) {
  return stats(await root.write('data.csv', content), delimiter);
}

test('describes number, text and empty columns', async () => {
  const content = 'price,city,note\n1,Oslo,\n2,,\n,"Bergen, west",\n4.5,Oslo,\n-2e0,Oslo,\n';
  expect(await statsOf(content)).toEqual({
    path: join(root.path, 'data.csv'),
    bytes: content.length,
    rows: 5,
    columns: [
      {
        name: 'price',
        type: 'number',
        count: 4,
        nulls: 1,
        mean: 1.375,
        min: -2,
        max: 4.5,
        p25: 0.25,
        p50: 1.5,
        p75: 2.625,
        p95: expect.closeTo(4.125, 10),
        quantilesAreEstimates: false,
      },
      { name: 'city', type: 'text', count: 4, nulls: 1, distinct: 2, distinctIsAtLeast: false },
      { name: 'note', type: 'empty', count: 0, nulls: 5 },
    ],
  });
});

test('one value that is no number makes a column text', async () => {
  for (const value of ['NA', '1,5', '0x10', 'Infinity', 'NaN', '1e999', '1 2', '-'])
    expect((await statsOf(`a;b\n1;x\n${value};x\n`, ';')).columns[0]!.type, `of ${value}`).toBe('text');
});

test('quantiles of many numbers are estimated within half a per cent', async () => {
  const numbers = Array.from({ length: 50_001 }, (_, i) => (i * 7919) % 50_001);
  const column = (await statsOf(`n\n${numbers.join('\n')}\n`)).columns[0]!;
  expect(column).toMatchObject({ count: 50_001, mean: expect.closeTo(25_000, 6), min: 0, max: 50_000 });
  expect(column.quantilesAreEstimates).toBe(true);
  for (const [estimate, exact] of [
    [column.p25, 12_500],
    [column.p50, 25_000],
    [column.p75, 37_500],
    [column.p95, 47_500],
  ])
    expect(Math.abs(estimate! / exact! - 1)).toBeLessThan(0.0051);
});

test('a column of few values keeps them as quantiles however many rows there are', async () => {
  const column = (await statsOf(`n\n${'0\n'.repeat(18_000)}${'1000\n'.repeat(2_000)}`)).columns[0]!;
  expect(column).toMatchObject({
    p25: 0,
    p50: 0,
    p75: 0,
    p95: expect.closeTo(1000, -1),
    mean: expect.closeTo(100, 6),
  });
});

test('numbers of every magnitude have quantiles within their range', async () => {
  const some = ['1e-300', '-1e300', '5e-324', '1.7e308', '0', '-0.5'];
  const column = (await statsOf(`n\n${`${some.join('\n')}\n`.repeat(2_000)}`)).columns[0]!;
  expect(column.type).toBe('number');
  for (const value of [column.p25, column.p50, column.p75, column.p95, column.mean]) {
    expect(value).toBeGreaterThanOrEqual(-1e300);
    expect(value).toBeLessThanOrEqual(1.7e308);
  }
});

test('counts different values up to a bound, and says when it was reached', async () => {
  const rows = Array.from({ length: 12_000 }, (_, i) => `value ${i}`);
  expect((await statsOf(`a\n${rows.join('\n')}`)).columns[0]).toMatchObject({
    count: 12_000,
    distinct: 10_000,
    distinctIsAtLeast: true,
  });
});

test('reads quoted delimiters and line breaks, CRLF, a byte order mark and a last line without an end', async () => {
  const { rows, columns } = await statsOf('\uFEFFa;"b ""c"""\r\n"1;2\r\n3";4\r\n\r\n5;6', ';');
  expect(rows).toBe(2);
  expect(columns.map(({ name, type }) => [name, type])).toEqual([
    ['a', 'text'],
    ['b "c"', 'number'],
  ]);
});

test('a header alone is a table of no rows', async () => {
  expect(await statsOf('a,b')).toMatchObject({
    rows: 0,
    columns: [{ name: 'a', type: 'empty' }, { name: 'b' }],
  });
});

test('a column without a name is called by its number', async () => {
  expect((await statsOf('a,\n1,2\n')).columns.map(({ name }) => name)).toEqual(['a', 'column 2']);
});

test.each([
  ['a row with a value too few', 'a,b\n1,2\n3\n', 'line 3: Invalid Record Length: expect 2, got 1'],
  ['a row with a value too many', 'a,b\n1,2,3\n', 'line 2: Invalid Record Length: expect 2, got 3'],
  [
    'a bad row after one of several lines',
    'a,b\n"1\n1",2\n3\n',
    'line 4: Invalid Record Length: expect 2, got 1',
  ],
  [
    'an open quote',
    'a,b\n1,2\n3,"4\n5,6\n',
    'line 4: the file ends within a quote, opened in row 2 below the header',
  ],
  ['a quote within a value', 'a,b\n1,2\n3,4"5"\n', 'line 3: Invalid Opening Quote'],
  ['text after a quoted value', 'a,b\n1,2\n3,"4"5\n', 'line 3: Invalid Closing Quote'],
  [
    'an endless row',
    `a\n1\n"${'x\n'.repeat(600_000)}`,
    'line 500003: row 2 below the header has over 1000000 characters; is a quote left open?',
  ],
])('%s is an error that names its line', async (_, content, message) => {
  await expect(statsOf(content)).rejects.toThrow(`data.csv, ${message}`);
});

test('two columns of one name are an error that names both', async () => {
  await expect(statsOf('a,b, a\n')).rejects.toThrow(
    'data.csv has two columns named "a" in its header row: columns 1 and 3',
  );
});

test('more than a thousand columns are an error', async () => {
  await expect(statsOf(`${Array.from({ length: 1001 }, (_, i) => i).join(',')}\n`)).rejects.toThrow(
    'has 1001 columns',
  );
});

test.each([
  ['of no bytes', ''],
  ['of empty lines', '\n\n'],
])('a file %s is an error', async (_, content) => {
  await expect(statsOf(content)).rejects.toThrow('data.csv is empty: it has no header row');
});

test('a missing file, a folder and a path outside the root are errors that say so', async () => {
  await mkdir(join(root.path, 'folder'));
  await expect(stats('missing.csv')).rejects.toThrow('missing.csv does not exist');
  await expect(stats('folder')).rejects.toThrow('folder is a folder, not a CSV file');
  await expect(stats('/etc/passwd')).rejects.toThrow('/etc/passwd is outside the folder that tools may read');
});

test('a file that may not be read is an error that says so', async (t) => {
  await chmod(await root.write('secret.csv', 'a\n1\n'), 0);
  await withoutPrivileges(t, async () => {
    await expect(stats('secret.csv')).rejects.toThrow('secret.csv may not be read: permission denied');
  });
});

test('progress counts the bytes read', async () => {
  const content = `n\n${'12345\n'.repeat(30_000)}`;
  const { context, reports } = recordingContext();
  await csvStats.run(csvStats.input.parse({ path: await root.write('data.csv', content) }), context);
  reports.reduce((before, report) => {
    expect(report.done).toBeGreaterThanOrEqual(before.done);
    return report;
  });
  expect(reports.length).toBeGreaterThan(100);
  expect(reports.at(-1)).toEqual({ done: content.length, total: content.length, message: '30000 rows' });
});

test('stops in the middle of the work when it is cancelled', async () => {
  const path = await root.write('data.csv', `n\n${'12345\n'.repeat(30_000)}`);
  const { context, reports } = recordingContext(abortAtOnce);
  await expect(csvStats.run(csvStats.input.parse({ path }), context)).rejects.toThrow('cancelled');
  expect(reports).toHaveLength(1);
});

test('does not start when it is already cancelled', async () => {
  const path = await root.write('data.csv', 'n\n1\n');
  const { context, controller } = recordingContext();
  controller.abort(new Error('cancelled'));
  await expect(csvStats.run(csvStats.input.parse({ path }), context)).rejects.toThrow('cancelled');
});
