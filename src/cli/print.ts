import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';

/** Writes lines to standard output until they end, or until nobody reads them any more, as in `| head`. */
export async function print(lines: Iterable<string>): Promise<void> {
  // A write may fail after the last line has been taken.
  process.stdout.on('error', () => {});
  try {
    await pipeline(Readable.from(ended(lines)), process.stdout, { end: false });
  } catch (error) {
    if (!isClosedPipe(error)) throw error;
  }
}

function* ended(lines: Iterable<string>): Iterable<string> {
  for (const line of lines) yield `${line}\n`;
}

function isClosedPipe(error: unknown): boolean {
  return ['EPIPE', 'ERR_STREAM_PREMATURE_CLOSE', 'ERR_STREAM_UNABLE_TO_PIPE'].includes(
    (error as { code?: string }).code ?? '',
  );
}

interface Block {
  readonly type: string;
  readonly text?: string;
  readonly data?: string;
}

/** The content of a tool's result for people: its texts, and all else as JSON. */
export function resultLines(content: readonly Block[]): string[] {
  return content.map((block) => {
    if (block.type === 'text') return block.text ?? '';
    // A picture on a terminal helps nobody.
    const { data } = block;
    return JSON.stringify(
      data === undefined ? block : { ...block, data: `${data.length} characters of base64` },
    );
  });
}
