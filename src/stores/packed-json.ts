import { pipeline } from 'node:stream/promises';
import { createGunzip, createGzip } from 'node:zlib';
import { Assembly, piecesOf } from './json-pieces.ts';

/** What is written or read at once. */
const PART = 128 * 1024;

/** A large value, compressed, in parts. No step of it takes long; most of it is done by another thread. */
export async function pack(value: unknown): Promise<Uint8Array[]> {
  const parts: Uint8Array[] = [];
  let chunks: Buffer[] = [];
  let size = 0;
  const collect = () => {
    parts.push(Buffer.concat(chunks));
    chunks = [];
    size = 0;
  };
  await pipeline(piecesOf(value), createGzip({ level: 1 }), async (source: AsyncIterable<Buffer>) => {
    for await (const chunk of source) {
      if (size + chunk.length > PART) collect();
      chunks.push(chunk);
      size += chunk.length;
    }
    collect();
  });
  return parts;
}

/** @throws {Error} where they are not all of its parts, in their order */
export async function unpack(parts: readonly Uint8Array[]): Promise<unknown> {
  const assembly = new Assembly();
  const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  await pipeline(parts, createGunzip({ chunkSize: PART }), async (source: AsyncIterable<Buffer>) => {
    let rest = '';
    for await (const chunk of source) {
      const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n');
      rest = lines.pop()!;
      for (const line of lines) assembly.add(line);
    }
  });
  return assembly.value;
}
