import { inspectJson } from './inspect-json.ts';
import { Pace } from './pace.ts';

/** Of one checkpoint, as JSON. */
const MOST_BYTES = 2 ** 20;

/**
 * What a run keeps for the next one, the last value of a burst. As JSON's text from the start: that is the copy, and
 * its size is known. It has a pace of its own, so that a tool which seldom keeps something does so at once, whatever it
 * reports beside that.
 */
export class Checkpoints {
  readonly #pace: Pace;
  #json: string | undefined;

  constructor(send: (json: string) => void) {
    this.#pace = new Pace(() => {
      if (this.#json !== undefined) send(this.#json);
      this.#json = undefined;
    });
  }

  /** @throws {TypeError} when the value is not JSON, or too large, saying where */
  keep(value: unknown): void {
    this.#json = encode(value);
    this.#pace.due();
  }

  /** Sends what is left. */
  close(): void {
    this.#pace.now();
  }
}

function encode(value: unknown): string {
  const travel = inspectJson(value, Infinity);
  if (!travel.fit) {
    const { path, reason } = travel;
    throw new TypeError(`checkpoint: ${path === '' ? 'value' : `value.${path}`}: ${reason}`);
  }
  const json = JSON.stringify(value) as string | undefined;
  if (json === undefined) throw new TypeError('checkpoint: value: undefined is not JSON');
  const bytes = Buffer.byteLength(json);
  if (bytes > MOST_BYTES)
    throw new TypeError(`checkpoint: value: ${bytes} bytes as JSON, and ${MOST_BYTES} at most`);
  return json;
}
