import { writeSync } from 'node:fs';
import type { Writable } from 'node:stream';

/*
 * What tools and their libraries print goes straight to the process's standard error. Not to standard
 * output: a server over stdio speaks the protocol there. And not by way of the main thread, as
 * a thread's own streams do: what a thread prints and then dies would be lost, and what it prints
 * without end would be the protocol thread's work. Import this first.
 */
const STDERR = 2;

type Written = { chunk: Buffer | string; encoding: BufferEncoding };

for (const stream of [process.stdout, process.stderr] as Writable[]) {
  stream._writev = (written: Written[], done) => {
    try {
      for (const { chunk, encoding } of written) writeAll(Buffer.from(chunk as string, encoding));
      done();
    } catch (error) {
      // Nobody reads any more; a print is no reason for a tool to fail.
      if ((error as NodeJS.ErrnoException).code === 'EPIPE') done();
      else done(error as Error);
    }
  };
}

function writeAll(chunk: Buffer): void {
  const pause = new Int32Array(new SharedArrayBuffer(4));
  for (let written = 0; written < chunk.length;) {
    try {
      written += writeSync(STDERR, chunk, written);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error;
      // The pipe is full: its reader is slower than the tool.
      Atomics.wait(pause, 0, 0, 1);
    }
  }
}
