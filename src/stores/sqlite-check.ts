import { setPriority } from 'node:os';
import { loadDriver } from './sqlite-driver.ts';
import { faultOf } from './sqlite-errors.ts';

/**
 * A process of its own: `node sqlite-check.js PATH` reads the whole file and says on standard output what is wrong with
 * it, if anything. A thread would not do: @photostructure/sqlite does not survive that its thread is terminated.
 */
const path = process.argv[2]!;
const { DatabaseSync } = await loadDriver();
// Whoever serves goes first.
setPriority(10);
const database = new DatabaseSync(path);
try {
  database.exec('PRAGMA busy_timeout = 5000');
  const [found] = Object.values(database.prepare('PRAGMA quick_check(1)').get() ?? {});
  if (found !== 'ok') process.stdout.write(String(found));
  // While it was read, the log could not be begun anew, and has grown: what is copied here holds nobody up.
  database.exec('PRAGMA wal_checkpoint(PASSIVE)');
} catch (error) {
  if (faultOf(error) !== 'damaged') throw error;
  process.stdout.write((error as Error).message);
} finally {
  database.close();
}
