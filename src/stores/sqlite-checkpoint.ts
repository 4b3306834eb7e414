import { setTimeout } from 'node:timers/promises';
import { loadDriver } from './sqlite-driver.ts';

/**
 * A process of its own: `node sqlite-checkpoint.js PATH` copies the log into the file and empties it, and ends; or when
 * its standard input does, with the process that started it.
 */
const path = process.argv[2]!;
/** So many pages are copied in the time that others may wait to write. */
const FEW = 500;
/** How often it is tried while somebody reads what the file was before. */
const RETRY_MS = 50;

process.stdin.resume().once('end', () => process.exit());
const { DatabaseSync } = await loadDriver();
const database = new DatabaseSync(path);
// For as long, others cannot write.
database.exec('PRAGMA busy_timeout = 100');
const copy = database.prepare('PRAGMA wal_checkpoint(PASSIVE)');
const copyAndEmpty = database.prepare('PRAGMA wal_checkpoint(TRUNCATE)');
for (let last = -1; ;) {
  const { log, checkpointed } = copy.get()!;
  const isNearlyDone = Number(log) - Number(checkpointed) < FEW;
  if (isNearlyDone && copyAndEmpty.get()!['busy'] === 0) break;
  if (isNearlyDone || checkpointed === last) await setTimeout(RETRY_MS);
  last = Number(checkpointed);
}
database.close();
process.exit();
