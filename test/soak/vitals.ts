import { readFileSync, readdirSync } from 'node:fs';

const PAGE_BYTES = 4096;
const PERIOD_MS = 250;
/** What the runtime takes and gives back as it likes. */
const FLAT_MB = 40;
const FLAT_FDS = 4;

interface Sample {
  readonly sizeMb: number;
  readonly fds: number;
}

/** Looks at a process from outside, by what Linux says of it: elsewhere it sees nothing. */
export class Vitals {
  /** Its children, of all the time. */
  readonly children = new Set<number>();
  readonly #pid: number;
  readonly #samples: Sample[] = [];
  readonly #timer: NodeJS.Timeout | undefined;

  constructor(pid: number) {
    this.#pid = pid;
    if (process.platform === 'linux') this.#timer = setInterval(() => this.#look(), PERIOD_MS);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** The medians of the first third, in which it warms up, and of the last. */
  get thirds(): { first: Sample; last: Sample } | undefined {
    const third = Math.floor(this.#samples.length / 3);
    if (third === 0) return undefined;
    return { first: medians(this.#samples.slice(0, third)), last: medians(this.#samples.slice(-third)) };
  }

  /** What has grown, if something has. */
  problems(): string[] {
    const { thirds } = this;
    if (thirds === undefined) return [];
    const { first, last } = thirds;
    const problems: string[] = [];
    if (last.sizeMb > first.sizeMb + FLAT_MB)
      problems.push(`the server grew from ${first.sizeMb} MB to ${last.sizeMb} MB`);
    if (last.fds > first.fds + FLAT_FDS)
      problems.push(`its descriptors went from ${first.fds} to ${last.fds}`);
    return problems;
  }

  /** Children that are still there. */
  get survivors(): number[] {
    return [...this.children].filter(isAlive);
  }

  #look(): void {
    const of = `/proc/${this.#pid}`;
    try {
      const [, resident] = readFileSync(`${of}/statm`, 'utf8').split(' ');
      const sizeMb = Math.round((Number(resident) * PAGE_BYTES) / 2 ** 20);
      this.#samples.push({ sizeMb, fds: readdirSync(`${of}/fd`).length });
      const children = readFileSync(`${of}/task/${this.#pid}/children`, 'utf8').trim();
      for (const pid of children === '' ? [] : children.split(' ')) this.children.add(Number(pid));
    } catch {
      // It has ended; that is for others to judge.
    }
  }
}

function medians(samples: readonly Sample[]): Sample {
  return {
    sizeMb: quantile(
      samples.map(({ sizeMb }) => sizeMb),
      0.5,
    ),
    fds: quantile(
      samples.map(({ fds }) => fds),
      0.5,
    ),
  };
}

export function quantile(values: readonly number[], share: number): number {
  return values.toSorted((a, b) => a - b)[Math.floor((values.length - 1) * share)] ?? NaN;
}

export function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
