import type { Fields } from './caller.ts';
import type { Kind } from './kinds.ts';

const MOST_TOLD = 20;

/** How often what may interrupt a run has happened. */
export interface Blows {
  /** A server was killed. */
  fronts: number;
  /** The process of its tools was. */
  tools: number;
  /** A server was told to end. */
  stops: number;
}

/** A call that was made, and what is known of it. */
export interface Entry {
  readonly nonce: string;
  readonly kind: Kind;
  readonly owner: string;
  readonly args: Readonly<Record<string, unknown>>;
  readonly key: string | undefined;
  readonly round: number;
  /** It had ended when this program first saw it. */
  readonly isOld?: true;
  /** What had happened before it was made. */
  readonly before: Readonly<Blows>;
  /** From the acknowledgement on. */
  taskId?: string;
  /** Once it has ended: all that the server says of it. */
  end?: string;
  cancel: 'no' | 'asked' | 'acknowledged';
  /** The keys of the questions that wait for an answer, and nobody has given one. */
  asks?: readonly string[];
  /**
   * The keys of the questions whose answers were acknowledged, and whether they are asked no more: where another server
   * has the task, the answer takes a while.
   */
  readonly answered: Map<string, boolean>;
}

/** Keeps account of every call, and of what must not be. */
export class Ledger {
  readonly violations: string[] = [];
  readonly entries: Entry[] = [];
  readonly blows: Blows = { fronts: 0, tools: 0, stops: 0 };
  readonly figures = {
    unanswered: 0,
    refused: 0,
    cancelled: 0,
    interrupted: 0,
    interruptedTwice: 0,
    rerun: 0,
    wentOn: 0,
    waitedOn: 0,
    foundByKey: 0,
    lost: 0,
    stuck: 0,
    doubled: 0,
  };
  readonly #prefix: string;
  #lastNonce = 0;

  /** @param prefix of its nonces, which no other ledger has */
  constructor(prefix = 'n') {
    this.#prefix = prefix;
  }

  get acknowledged(): Entry[] {
    return this.entries.filter(({ taskId }) => taskId !== undefined);
  }

  violated(what: string): void {
    this.violations.push(what);
    if (this.violations.length <= MOST_TOLD) console.error(`VIOLATION: ${what}`);
  }

  open(call: Pick<Entry, 'kind' | 'owner' | 'args' | 'round'> & { readonly hasKey: boolean }): Entry {
    const { hasKey, ...rest } = call;
    const nonce = `${this.#prefix}${++this.#lastNonce}`;
    const args = { nonce, ...rest.args };
    const key = hasKey ? `key-${nonce}` : undefined;
    const entry: Entry = {
      ...rest,
      args,
      nonce,
      key,
      before: { ...this.blows },
      cancel: 'no',
      answered: new Map(),
    };
    this.entries.push(entry);
    return entry;
  }

  /** Adds up what another one has found. */
  absorb({ violations, figures, blows }: Ledger): void {
    this.violations.push(...violations);
    for (const name of Object.keys(figures) as (keyof typeof figures)[]) this.figures[name] += figures[name];
    for (const name of Object.keys(blows) as (keyof Blows)[]) this.blows[name] += blows[name];
  }

  /** What has happened since a call was made. */
  since({ before }: Entry): Blows & { readonly all: number } {
    const { fronts, tools, stops } = this.blows;
    const since = {
      fronts: fronts - before.fronts,
      tools: tools - before.tools,
      stops: stops - before.stops,
    };
    return { ...since, all: since.fronts + since.tools + since.stops };
  }

  /** A task as the server says it is: what has ended stays as it is, and what was answered is not asked again. */
  saw(entry: Entry, said: Fields): void {
    const { status, inputRequests } = said;
    if (entry.end !== undefined) {
      const now = JSON.stringify(said);
      if (now !== entry.end)
        this.violated(`${nameOf(entry)} had ended, and is another: ${differenceOf(entry.end, now)}`);
      return;
    }
    if (isTerminal(status)) {
      if (entry.asks !== undefined && entry.cancel === 'no' && this.since(entry).tools === 0)
        this.violated(`${nameOf(entry)} waited for an answer, and ended without: ${JSON.stringify(said)}`);
      entry.end = JSON.stringify(said);
      delete entry.asks;
      return;
    }
    const keys = Object.keys(inputRequests ?? {});
    const open = keys.filter((key) => !entry.answered.has(key));
    for (const [key, isSettled] of entry.answered) {
      if (!keys.includes(key)) entry.answered.set(key, true);
      else if (isSettled) this.violated(`${nameOf(entry)} asks again what was answered: ${key}`);
    }
    if (entry.asks !== undefined && open.join() !== entry.asks.join())
      this.violated(
        `${nameOf(entry)} asked ${entry.asks.join()}, and then, unanswered, ${status} ${open.join()}`,
      );
    if (open.length > 0) entry.asks = open;
  }
}

export function isTerminal(status: unknown): boolean {
  return status === 'completed' || status === 'failed' || status === 'cancelled';
}

export function nameOf({ kind, nonce, taskId, round }: Entry): string {
  return `${kind.tool} ${nonce} (task ${taskId}, round ${round})`;
}

/** Two texts from where they differ. */
export function differenceOf(one: string, other: string): string {
  let at = 0;
  while (at < one.length && one[at] === other[at]) at++;
  const around = (text: string) => text.slice(Math.max(0, at - 40), at + 160);
  return `…${around(one)}… and …${around(other)}…`;
}
