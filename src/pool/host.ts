import type { FromThread, ToThread } from './messages.ts';
import type { Place } from './place.ts';

/** What all threads of a host have in common. Can be serialised. */
export interface HostOptions {
  readonly place: Place;
  /** What the process may hold, its resident size; undefined: anything. */
  readonly maxMemoryMb: number | undefined;
  /** How large a result may be, where its tool says nothing else. */
  readonly maxResultMb: number;
}

/** What a thread is for. */
export interface ThreadSpec {
  /** How many tasks it serves at a time. */
  readonly places: number;
  /** What its JavaScript heap may hold, in megabytes. */
  readonly maxMemoryMb: number;
}

/**
 * Why a thread has ended: `asked`, because it was told to; `fault`, by what its own code did; `crash`,
 * because its process ended, and every other thread of it too.
 */
export type EndKind = 'asked' | 'fault' | 'crash';

export interface LinkEvents {
  message(message: FromThread): void;
  /** The thread takes nothing any more: its process has ended, and why is yet to be found out. */
  lost(): void;
  /** The thread takes and sends nothing any more. Comes once, and last. */
  ended(reason: string, kind: EndKind): void;
}

/** The near end of one thread. */
export interface Link {
  post(message: ToThread): void;
  /** Ends the thread, whatever it does. */
  end(): void;
}

/** Where threads live: in this process, or in a child of it. */
export interface ThreadHost {
  /** Starts a thread. Its events never come from within this call. */
  open(spec: ThreadSpec, events: LinkEvents): Link;
  /** Ends every thread, and resolves when they have ended. */
  close(): Promise<void>;
}
