import { fdatasyncSync, ftruncateSync, openSync, writeSync } from 'node:fs';
import { setTimeout } from 'node:timers/promises';
import { LoopWatch } from './loop-watch.ts';

/*
 * A process without a store, for comparison, until a message comes: how long its event loop is held by bare writes.
 *
 *     node store-control.js light FILE     a page every 5 ms: sees when the disk stands still
 *     node store-control.js heavy FILE     what a store asks of the disk that has much to do: its log grows by 100 kB,
 *                                          then 100 pages here and there in the file are written; each is synchronised
 */

const PAGE = Buffer.alloc(4096, 1);
const STEP = Buffer.alloc(25 * PAGE.length, 1);
const LOG_BYTES = 4 * 2 ** 20;
const FILE_PAGES = 16_384;
const AT_ONCE = 100;

const [mode, path] = process.argv.slice(2) as [string, string];
const file = openSync(path, 'w');
const log = openSync(`${path}-log`, 'w');
let logged = 0;
for (let at = 0; at < FILE_PAGES; at++) writeSync(file, PAGE);
fdatasyncSync(file);

const stop = new AbortController();
process.once('message', () => stop.abort());
const loop = new LoopWatch();
while (!stop.signal.aborted) {
  if (mode === 'heavy') heavy();
  else light();
  await setTimeout(5);
}
process.send!(loop.end(), () => process.disconnect());

function light(): void {
  writeAnywhere();
  fdatasyncSync(file);
}

function heavy(): void {
  if (logged >= LOG_BYTES) {
    ftruncateSync(log);
    logged = 0;
  }
  logged += writeSync(log, STEP, 0, STEP.length, logged);
  fdatasyncSync(log);
  for (let n = 0; n < AT_ONCE; n++) writeAnywhere();
  fdatasyncSync(file);
}

function writeAnywhere(): void {
  writeSync(file, PAGE, 0, PAGE.length, PAGE.length * Math.floor(Math.random() * FILE_PAGES));
}
