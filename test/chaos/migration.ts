import { readdirSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { audit } from './audit.ts';
import { Ledger } from './ledger.ts';
import { OldFile } from './old-file.ts';
import { Server } from './server.ts';
import { userVersionOf } from './user-version.ts';
import { World } from './world.ts';

const KILLS = 3;
/** From when it has opened the file until it is killed, at most: about twice as long as it takes. */
const MIGRATION_MS = 80;

/** What was found in files after the kills. */
export const migrations = { before: 0, after: 0, tasks: 0 };

let oldFile: Promise<OldFile> | undefined;

/** Kills servers that bring an old file up to date, until one is let, and audits what it knows. */
export async function playMigration(main: World): Promise<void> {
  const { place, random, round } = main;
  oldFile ??= OldFile.make(place);
  const file = join(place.folder, `old-${round}.db`);
  const ledger = new Ledger(`m${round}-`);
  const world = new World({ ...place, file }, ledger, random.between(0, 2 ** 31));
  await (await oldFile).copy(file, ledger, random, round);
  for (let kills = 0; kills < KILLS; kills++) {
    const spawned = Server.launch(world.place, file);
    const { child } = spawned;
    while (!hasOpen(child.pid!, file) && child.exitCode === null) await sleep(1);
    await sleep(random.between(0, MIGRATION_MS));
    await world.killEarly(spawned);
    migrations[userVersionOf(file) === 1 ? 'before' : 'after']++;
  }
  await world.start();
  await audit(world);
  for (const server of [...world.servers]) await world.stop(server);
  migrations.tasks += ledger.entries.length;
  main.ledger.absorb(ledger);
  for (const pid of world.children) main.children.add(pid);
}

/** Whether a process has a file open, as Linux tells; elsewhere it always has. */
function hasOpen(pid: number, path: string): boolean {
  if (process.platform !== 'linux') return true;
  try {
    const of = `/proc/${pid}/fd`;
    return readdirSync(of).some((fd) => readlinkSync(join(of, fd)) === path);
  } catch {
    // It has closed one meanwhile, or is not there.
    return false;
  }
}
