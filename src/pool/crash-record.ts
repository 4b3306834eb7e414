const WINDOW_MS = 60_000;
const MOST_CRASHES = 5;
/** The process is not back so soon. */
const SAME_CRASH_MS = 20;

/**
 * Which tools ran when the tools' process crashed. One that ran in five crashes of the last minute is
 * refused until the first of them is a minute ago: it would take the tasks of all others with it again.
 */
export class CrashRecord {
  readonly #crashes = new Map<string, number[]>();

  /** Notes that the tool ran. One crash may be told of many times, at once. */
  add(tool: string): void {
    const recent = this.#recent(tool);
    const now = performance.now();
    if (now - (recent.at(-1) ?? -Infinity) > SAME_CRASH_MS) this.#crashes.set(tool, [...recent, now]);
  }

  /** Why the tool is not run; undefined where it is. */
  refusal(tool: string): string | undefined {
    const recent = this.#recent(tool);
    if (recent.length < MOST_CRASHES) return undefined;
    const seconds = Math.ceil((recent.at(-MOST_CRASHES)! + WINDOW_MS - performance.now()) / 1000);
    return `${tool} is not run for another ${seconds} s: the tools' process crashed ${recent.length} times in a minute while it ran`;
  }

  #recent(tool: string): number[] {
    const recent = this.#crashes.get(tool)?.filter((at) => at > performance.now() - WINDOW_MS) ?? [];
    if (recent.length === 0) this.#crashes.delete(tool);
    return recent;
  }
}
