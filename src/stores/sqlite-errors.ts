import { StoreUnavailableError } from '../errors.ts';

/** SQLite's result codes, of which extended ones have more in their higher bits. */
const CODES = {
  busy: 5,
  locked: 6,
  outOfMemory: 7,
  readOnly: 8,
  ioError: 10,
  corrupt: 11,
  full: 13,
  cannotOpen: 14,
  protocol: 15,
  constraint: 19,
  notADatabase: 26,
} as const;

/** `SQLITE_IOERR_SHMSIZE`: the disk has no room for the file that processes share. */
const NO_ROOM_TO_SHARE = 4874;

/** SQLite's words for them: of a statement's `all()`, @photostructure/sqlite gives nothing else. */
const WORDS: Readonly<Record<string, number>> = {
  'database is locked': CODES.busy,
  'database table is locked': CODES.locked,
  'out of memory': CODES.outOfMemory,
  'attempt to write a readonly database': CODES.readOnly,
  'disk I/O error': CODES.ioError,
  'database disk image is malformed': CODES.corrupt,
  'database or disk is full': CODES.full,
  'unable to open database file': CODES.cannotOpen,
  'locking protocol': CODES.protocol,
  'file is not a database': CODES.notADatabase,
};

/** What SQLite refused with. `statement`: that statement is at fault, and no other. */
export type Fault = 'busy' | 'full' | 'unavailable' | 'damaged' | 'constraint' | 'statement';

export function faultOf(error: unknown): Fault {
  switch (codeOf(error)) {
    case CODES.busy:
    case CODES.locked:
    case CODES.protocol:
      return 'busy';
    case CODES.full:
      return 'full';
    case CODES.readOnly:
    case CODES.ioError:
    case CODES.cannotOpen:
    case CODES.outOfMemory:
      return 'unavailable';
    case CODES.corrupt:
    case CODES.notADatabase:
      return 'damaged';
    case CODES.constraint:
      return 'constraint';
    default:
      return 'statement';
  }
}

/** Undefined where it is none of SQLite's. */
function codeOf(error: unknown): number | undefined {
  const { code, errcode, message } = error as Error & { code?: unknown; errcode?: unknown };
  if (errcode === NO_ROOM_TO_SHARE) return CODES.full;
  if (typeof errcode === 'number') return errcode & 0xff;
  return code === 'ERR_SQLITE_ERROR' ? WORDS[message] : undefined;
}

/** The error for whoever wanted to write. */
export function unavailable(path: string, error: unknown): StoreUnavailableError {
  return new StoreUnavailableError(`${words(error)} (${path})`, { cause: error });
}

/** The error for whoever wanted to create a task. */
export function diskFull(path: string): StoreUnavailableError {
  return new StoreUnavailableError(`the store's disk is full (${path})`);
}

/** The error for whoever wanted to read. */
export function unreadable(path: string, error: unknown): StoreUnavailableError {
  return new StoreUnavailableError(`the store cannot be read: ${(error as Error).message} (${path})`, {
    cause: error,
  });
}

/** What is kept of a task is not what was: its file has been damaged, in a way that SQLite does not see. */
export class UnreadableTaskError extends StoreUnavailableError {
  constructor(taskId: string, cause: unknown) {
    const words = cause instanceof Error ? cause.message : String(cause);
    super(`what the store has of task ${taskId} is damaged: ${words}`, { cause });
  }
}

/** The error for whoever wants to write to a file that is damaged. */
export function damaged(path: string, found: string, cause?: unknown): StoreUnavailableError {
  return new StoreUnavailableError(
    `the store is damaged: ${oneLine(found)}. Stop the servers that use it, and move it away or restore it (${path})`,
    { cause },
  );
}

/** SQLite's findings have several. */
export function oneLine(found: string): string {
  return found.replaceAll(/\s+/g, ' ');
}

export function closed(): StoreUnavailableError {
  return new StoreUnavailableError('the store is closed');
}

/** The error for whoever wants to write to a file that is not at its path any more. */
export function misplaced(path: string): StoreUnavailableError {
  return new StoreUnavailableError(
    `the store's file was moved, removed or replaced: put it back, or start the servers that use it anew (${path})`,
  );
}

function words(error: unknown): string {
  switch (codeOf(error)) {
    case CODES.busy:
    case CODES.locked:
    case CODES.protocol:
      return 'the store is locked by another process';
    case CODES.full:
      return "the store's disk is full";
    case CODES.readOnly:
      return 'the store can only be read';
    default:
      return `the store cannot be written: ${(error as Error).message}`;
  }
}
