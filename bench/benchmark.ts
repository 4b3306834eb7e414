/** One of the benchmarks. */
export interface Benchmark {
  readonly name: string;
  readonly title: string;
  /**
   * Measures, and closes all that it opened.
   * @param short only shows that it works: its figures mean nothing
   * @throws when what it measures does not work; a target that is missed is no reason
   */
  run(short: boolean): Promise<Report>;
}

/** A line of a table, by its columns. */
export type Row = Readonly<Record<string, string | number>>;

export interface Report<R extends Row = Row> {
  readonly rows: readonly R[];
  readonly targets: readonly Target[];
  /** How to read the figures. */
  readonly notes: readonly string[];
}

/** What a figure must reach. */
export type Target = {
  readonly target: string;
  readonly measured: number;
  readonly unit?: string;
} & ({ readonly atLeast: number } | { readonly atMost: number });

export function isMet(target: Target): boolean {
  return 'atLeast' in target ? target.measured >= target.atLeast : target.measured <= target.atMost;
}
