import type { ChildProcess } from 'node:child_process';

/**
 * Passes on what a child prints to our standard error, as fast as that is read. Not by giving the child our
 * descriptor: that would make ours blocking, and who does not read it would stop this process. Not by `pipe`,
 * which leaves listeners behind.
 */
export function passOn({ stdout, stderr }: ChildProcess): void {
  for (const stream of [stdout!, stderr!]) {
    stream.on('data', (chunk: Buffer) => {
      if (process.stderr.write(chunk)) return;
      stream.pause();
      process.stderr.once('drain', () => stream.resume());
    });
  }
}
