import { Option, type Command } from 'commander';
import { OptionError, StoreError } from '../errors.ts';
import type { Log } from '../tasks/log.ts';
import type { TaskStore } from '../tasks/store.ts';
import { defaultStorePath, storePlace, type StorePlace } from './store-place.ts';
import { count } from './values.ts';

export interface StoreFlags {
  store?: StorePlace;
  maxStoreMb?: number;
  storeSync?: 'full' | 'normal';
}

export function addStoreOptions(command: Command): Command {
  return command
    .addOption(
      new Option(
        '--store <store>',
        "where tasks are kept: sqlite:PATH, or memory (default: a file for each tools folder in the user's state folder)",
      ).argParser((value: string) => storePlace(value)),
    )
    .option(
      '--max-store-mb <n>',
      'how large the file may grow; over it, tasks that have ended leave it, the oldest first (default: 1024)',
      count,
    )
    .addOption(
      new Option(
        '--store-sync <mode>',
        'full: what is kept outlives a power failure (default); normal: faster, and outlives the death of the process',
      ).choices(['full', 'normal']),
    );
}

/**
 * What opens the store; undefined where tasks are kept in memory.
 * @param tools the folder, which decides where the file is, unless `--store` does
 * @throws {OptionError} when an option has no meaning beside `--store memory`
 */
export function storeOpener(
  { store, maxStoreMb, storeSync }: StoreFlags,
  tools: string,
  log: Log,
): (() => Promise<TaskStore>) | undefined {
  if (store?.type === 'memory') {
    if (maxStoreMb !== undefined || storeSync !== undefined) {
      const flag = maxStoreMb === undefined ? '--store-sync' : '--max-store-mb';
      throw new OptionError(`${flag}: has no meaning with --store memory`);
    }
    return undefined;
  }
  return async () => {
    const { SqliteStore } = await import('../stores/sqlite.ts');
    try {
      return await SqliteStore.open({
        path: store?.path ?? (await defaultStorePath(tools)),
        log,
        ...(maxStoreMb !== undefined && { maxStoreMb }),
        ...(storeSync !== undefined && { synchronous: storeSync }),
      });
    } catch (error) {
      if (store !== undefined || !(error instanceof StoreError)) throw error;
      // The user has not chosen the place, and may not know that there is a choice.
      throw new StoreError(
        `${error.message}; --store sqlite:PATH keeps the tasks elsewhere, and --store memory until the server stops`,
        { cause: error },
      );
    }
  };
}
