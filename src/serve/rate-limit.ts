/** Buckets that are kept at most before those that are full again are thrown away. */
const MOST_BUCKETS = 10_000;

/** Requests a second of each owner: a bucket of tokens that one request takes one from, and that fills with time. */
export class RateLimit {
  readonly #perSecond: number;
  readonly #buckets = new Map<string, { tokens: number; at: number }>();
  #sweepAt = MOST_BUCKETS;

  /** @param perSecond what a bucket gets in a second, and holds at most */
  constructor(perSecond: number) {
    this.#perSecond = perSecond;
  }

  /** Takes a token; where there is none, gives the time in milliseconds until there is. */
  take(owner: string): number | undefined {
    if (this.#perSecond === Infinity) return undefined;
    const now = performance.now();
    const bucket = this.#buckets.get(owner) ?? { tokens: this.#perSecond, at: now };
    bucket.tokens = this.#filled(bucket, now);
    bucket.at = now;
    if (!this.#buckets.has(owner)) {
      if (this.#buckets.size >= this.#sweepAt) this.#sweep(now);
      this.#buckets.set(owner, bucket);
    }
    if (bucket.tokens < 1) return ((1 - bucket.tokens) / this.#perSecond) * 1000;
    bucket.tokens--;
    return undefined;
  }

  #filled({ tokens, at }: { tokens: number; at: number }, now: number): number {
    return Math.min(this.#perSecond, tokens + ((now - at) / 1000) * this.#perSecond);
  }

  /** A full bucket is as good as none. */
  #sweep(now: number): void {
    for (const [owner, bucket] of this.#buckets) {
      if (this.#filled(bucket, now) >= this.#perSecond) this.#buckets.delete(owner);
    }
    this.#sweepAt = Math.max(MOST_BUCKETS, this.#buckets.size * 2);
  }
}
