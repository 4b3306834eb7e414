import { fork } from 'node:child_process';
import { setPriority } from 'node:os';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import type { CatalogMessage } from './catalog.ts';
import { passOn } from './pass-on.ts';
import { lockdownOptions, type Place } from './place.ts';

interface ReaderEvents {
  message(message: CatalogMessage): void;
  /** It has ended by itself. */
  ended(reason: string): void;
}

/** Starts to read modules, in the kind of place where they are to run. Returns what ends it. */
export function startReader(
  paths: readonly string[],
  place: Place,
  events: ReaderEvents,
): () => Promise<unknown> {
  return place.isolation === 'process' ? inProcess(paths, place, events) : inThread(paths, place, events);
}

/** A nice value. */
const LOW = 10;

const ENTRY = new URL('./worker/catalog-worker.js', import.meta.url);

function inThread(paths: readonly string[], { env }: Place, events: ReaderEvents): () => Promise<unknown> {
  const worker = new Worker(ENTRY, { workerData: paths, env: { ...env } });
  worker.on('message', (message: CatalogMessage) => events.message(message));
  worker.on('error', (error: unknown) =>
    events.ended((error instanceof Error ? error.message : String(error)).split('\n', 1)[0]!),
  );
  worker.on('exit', (code) => events.ended(`ended the thread with code ${code} while it loaded`));
  return () => worker.terminate();
}

function inProcess(
  paths: readonly string[],
  { env, lockdown }: Place,
  events: ReaderEvents,
): () => Promise<unknown> {
  const child = fork(fileURLToPath(ENTRY), [JSON.stringify(paths)], {
    env: { ...env },
    execArgv: [...process.execArgv, ...(lockdown === undefined ? [] : lockdownOptions(lockdown))],
    // What a module prints when it is imported is not to reach the protocol's stream. The input says that we are here.
    stdio: ['pipe', 'pipe', 'pipe', 'ipc'],
  });
  passOn(child);
  // The server has a first answer to give meanwhile, and may have to share a processor with this.
  if (child.pid !== undefined) lower(child.pid);
  const gone = new Promise((resolve) => child.once('exit', resolve));
  child.on('message', (message: CatalogMessage) => events.message(message));
  child.on('error', (error) => events.ended(error.message));
  child.on('exit', (code, signal) =>
    events.ended(
      signal === null
        ? `ended the process with code ${code} while it loaded`
        : `died of ${signal} while it loaded`,
    ),
  );
  return () => {
    child.kill('SIGKILL');
    return gone;
  };
}

function lower(pid: number): void {
  try {
    setPriority(pid, LOW);
  } catch {
    // It has ended already.
  }
}
