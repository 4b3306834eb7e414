import { LogCollapsingLowestDenseDDSketch } from '@datadog/sketches-js';

/** So many numbers are kept as they are; from then on the quantiles are estimates. */
const EXACT = 10_000;
/** The relative error of an estimate; with the bins below it holds over 35 orders of magnitude. */
const ACCURACY = 0.005;
const BINS = 8192;
const MAX_DISTINCT = 10_000;
const MAX_DISTINCT_CHARS = 1_000_000;
const NUMBER = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;

/** One column's statistics, in memory that does not grow with the number of rows. */
export class Column {
  #count = 0;
  #nulls = 0;
  #numbers: Numbers | undefined = new Numbers();
  // Also for a column that is all numbers so far: the next value may not be one.
  readonly #distinct = new Set<string>();
  #distinctChars = 0;
  #capped = false;
  readonly name: string;

  constructor(name: string) {
    this.name = name;
  }

  add(raw: string): void {
    const value = raw.trim();
    if (value === '') {
      this.#nulls++;
      return;
    }
    this.#count++;
    if (this.#numbers) {
      const number = NUMBER.test(value) ? Number(value) : NaN;
      if (Number.isFinite(number)) this.#numbers.add(number);
      else this.#numbers = undefined;
    }
    if (!this.#capped && !this.#distinct.has(value)) this.#remember(value);
  }

  result() {
    const base = { name: this.name, count: this.#count, nulls: this.#nulls };
    if (this.#count === 0) return { ...base, type: 'empty' as const };
    if (this.#numbers) return { ...base, type: 'number' as const, ...this.#numbers.result() };
    return { ...base, type: 'text' as const, distinct: this.#distinct.size, distinctIsAtLeast: this.#capped };
  }

  #remember(value: string): void {
    if (this.#distinct.size === MAX_DISTINCT || this.#distinctChars + value.length > MAX_DISTINCT_CHARS) {
      this.#capped = true;
      return;
    }
    this.#distinct.add(value);
    this.#distinctChars += value.length;
  }
}

class Numbers {
  #count = 0;
  #mean = 0;
  #min = Infinity;
  #max = -Infinity;
  #exact: number[] = [];
  #sketch: LogCollapsingLowestDenseDDSketch | undefined;

  add(value: number): void {
    this.#count++;
    // Not a sum divided at the end: that loses digits, and overflows.
    this.#mean += value / this.#count - this.#mean / this.#count;
    this.#min = Math.min(this.#min, value);
    this.#max = Math.max(this.#max, value);
    if (!this.#sketch && this.#exact.length < EXACT) {
      this.#exact.push(value);
      return;
    }
    if (!this.#sketch) {
      this.#sketch = new LogCollapsingLowestDenseDDSketch({ relativeAccuracy: ACCURACY, binLimit: BINS });
      for (const kept of this.#exact) this.#sketch.accept(kept);
      this.#exact = [];
    }
    this.#sketch.accept(value);
  }

  result() {
    const sorted = Float64Array.from(this.#exact).toSorted();
    const quantile = (q: number) => (this.#sketch ? this.#estimate(this.#sketch, q) : interpolate(sorted, q));
    return {
      mean: this.#mean,
      min: this.#min,
      max: this.#max,
      p25: quantile(0.25),
      p50: quantile(0.5),
      p75: quantile(0.75),
      p95: quantile(0.95),
      quantilesAreEstimates: this.#sketch !== undefined,
    };
  }

  #estimate(sketch: LogCollapsingLowestDenseDDSketch, q: number): number {
    return Math.min(this.#max, Math.max(this.#min, sketch.getValueAtQuantile(q)));
  }
}

/** The quantile of sorted numbers, linear between neighbours, as spreadsheets and NumPy have it. */
function interpolate(sorted: Float64Array, q: number): number {
  const rank = q * (sorted.length - 1);
  const low = sorted[Math.floor(rank)]!;
  const high = sorted[Math.ceil(rank)]!;
  const part = rank % 1;
  return low * (1 - part) + high * part;
}
