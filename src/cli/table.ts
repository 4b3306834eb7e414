import Table from 'cli-table3';

/** Of a column that is cut to the terminal's width. */
const LEAST_WIDTH = 12;
const GAP = '  ';

const NO_LINES = Object.fromEntries(
  ['top', 'bottom', 'left', 'mid', 'right'].flatMap((side) =>
    [side, `${side}-mid`, `${side}-left`, `${side}-right`].map((name) => [name, '']),
  ),
);

type Row = readonly (string | undefined)[];

/**
 * A table without lines, as `ps` prints one.
 * @param width what the last column is cut to fit in, where the terminal has a width
 */
export function table(rows: readonly Row[], width?: number): string[] {
  const last = rows[0]!.length - 1;
  const others = width === undefined ? 0 : build(rows.map((row) => row.slice(0, last))).width;
  const left = width === undefined ? null : Math.max(LEAST_WIDTH, width - others - GAP.length);
  return build(rows, [...rows[0]!.slice(0, last).map(() => null), left])
    .toString()
    .split('\n')
    .map((line) => line.trimEnd());
}

function build(rows: readonly Row[], colWidths: (number | null)[] = []): InstanceType<typeof Table> {
  const table = new Table({
    chars: { ...NO_LINES, middle: GAP },
    style: { head: [], border: [], 'padding-left': 0, 'padding-right': 0 },
    colWidths,
  });
  table.push(...rows.map((row) => row.map((cell) => onOneLine(cell ?? ''))));
  return table;
}

/** What tools and clients have written is nothing that a terminal is to obey. */
function onOneLine(text: string): string {
  return text.replaceAll(/[\p{Cc}\p{Zl}\p{Zp}\u202a-\u202e\u2066-\u2069]+/gu, ' ').trim();
}
