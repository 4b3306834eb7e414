import { fileURLToPath } from 'node:url';
import { MessageChannel, type MessagePort } from 'node:worker_threads';
import { Piscina } from 'piscina';
import type { EndKind, HostOptions, Link, LinkEvents, ThreadHost, ThreadSpec } from './host.ts';
import { MEMORY, type FromThread, type Lease, type ToThread } from './messages.ts';
import { Watchdog, type Watched } from './watchdog.ts';

/** After which a thread that does not end, blocked in native code, is no longer waited for. */
const LONGEST_END_MS = 5000;

/**
 * Threads of this process. Each has a Piscina to itself, because Piscina gives all its threads the same
 * heap limit, and is leased from it for as long as it lives: tasks reach the thread over a port of its own.
 */
export class PiscinaHost implements ThreadHost {
  /** Those whose thread has not ended altogether. */
  readonly #links = new Set<PiscinaLink>();
  readonly #watchdog: Watchdog | undefined;

  readonly #options: HostOptions;

  constructor(options: HostOptions) {
    this.#options = options;
    const { maxMemoryMb } = options;
    if (maxMemoryMb !== undefined) this.#watchdog = new Watchdog(maxMemoryMb, this.#links);
  }

  open(spec: ThreadSpec, events: LinkEvents): Link {
    const link = new PiscinaLink(this.#options, spec, events);
    this.#links.add(link);
    void link.gone.then(() => this.#links.delete(link));
    return link;
  }

  async close(): Promise<void> {
    this.#watchdog?.close();
    for (const link of this.#links) link.end();
    let timer: NodeJS.Timeout | undefined;
    const enough = new Promise<void>((resolve) => (timer = setTimeout(resolve, LONGEST_END_MS)));
    await Promise.race([Promise.all([...this.#links].map((link) => link.gone)), enough]);
    clearTimeout(timer);
    for (const link of this.#links) link.abandon();
  }
}

class PiscinaLink implements Link, Watched {
  /** Resolves when the thread is no more. */
  readonly gone: Promise<void>;
  busySince = 0;
  readonly #piscina: Piscina;
  readonly #flags: Int32Array;
  readonly #posted = sharedCells(1);
  readonly #memory = sharedCells(2);
  readonly #port: MessagePort;
  /** Why it is ended, where it is we who do that. */
  #reason: string | undefined;
  #isReady = false;
  #isToEnd = false;
  #destroyed: Promise<void> | undefined;
  readonly #events: LinkEvents;
  #isOver = false;

  constructor({ place, maxResultMb }: HostOptions, { places, maxMemoryMb }: ThreadSpec, events: LinkEvents) {
    this.#events = events;
    this.#piscina = new Piscina({
      filename: fileURLToPath(new URL('./worker/worker.js', import.meta.url)),
      minThreads: 1,
      maxThreads: 1,
      env: { ...place.env },
      resourceLimits: { maxOldGenerationSizeMb: maxMemoryMb },
      // With atomics a thread sleeps between Piscina's messages, and would not hear its own port.
      atomics: 'disabled',
      recordTiming: false,
    });
    // Whatever it is, the lease ends with it.
    this.#piscina.on('error', () => {});
    this.#flags = sharedCells(places);
    const { port1, port2 } = new MessageChannel();
    this.#port = port1;
    port1.on('message', (message: FromThread) => {
      if (message.type === 'ready') {
        this.#isReady = true;
        if (this.#isToEnd) void this.#destroy();
      }
      events.message(message);
    });
    const lease: Lease = {
      port: port2,
      flags: this.#flags,
      posted: this.#posted,
      memory: this.#memory,
      alone: places === 1,
      maxResultMb,
    };
    const ended = (reason: string) => {
      this.#tell(
        this.#reason ?? reason,
        this.#destroyed !== undefined && this.#reason === undefined ? 'asked' : 'fault',
      );
      // Where we have ended it, it is on its way, and waited for here.
      return this.#destroy();
    };
    this.gone = this.#piscina.run(lease, { transferList: [port2] }).then(
      () => ended('the thread ended'),
      (error: unknown) => ended(faultOf(error, maxMemoryMb)),
    );
    // No other in its place, neither when it ends by itself.
    this.#piscina.options.minThreads = 0;
  }

  post(message: ToThread): void {
    if (message.type === 'run') this.busySince = performance.now();
    // A task that computes reads no message, but sees its flag.
    if (message.type === 'run' || message.type === 'cancel') {
      Atomics.store(this.#flags, message.place, message.type === 'cancel' ? 1 : 0);
    }
    this.#port.postMessage(message);
    Atomics.add(this.#posted, 0, 1);
    Atomics.notify(this.#posted, 0);
  }

  end(reason?: string): void {
    this.#reason ??= reason;
    this.#isToEnd = true;
    // Node 20 aborts the process where a thread is ended while it loads its first modules.
    if (this.#isReady) void this.#destroy();
  }

  /** Says that the thread has ended, where that is no longer waited for. */
  abandon(): void {
    this.#tell('the thread did not end', 'asked');
  }

  #tell(reason: string, kind: EndKind): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#port.close();
    this.#events.ended(reason, kind);
  }

  /** Ends the thread, and resolves when it is no more; not by a signal to Piscina, which then starts another. */
  #destroy(): Promise<void> {
    return (this.#destroyed ??= this.#piscina.destroy());
  }

  measure(): void {
    Atomics.store(this.#memory, MEMORY.asked, 1);
    this.post({ type: 'measure' });
  }

  get heldMb(): number | undefined {
    const answered = Atomics.load(this.#memory, MEMORY.asked) === 0;
    return answered ? Atomics.load(this.#memory, MEMORY.held) : undefined;
  }
}

function sharedCells(count: number): Int32Array {
  return new Int32Array(new SharedArrayBuffer(count * Int32Array.BYTES_PER_ELEMENT));
}

function faultOf(error: unknown, maxMemoryMb: number): string {
  if ((error as { code?: unknown } | null)?.code === 'ERR_WORKER_OUT_OF_MEMORY') {
    return `out of memory: the limit is ${maxMemoryMb} MB`;
  }
  const message = error instanceof Error ? error.message : String(error);
  const exit = /^worker exited with code: (\d+)$/.exec(message);
  return exit === null ? message : `the thread exited with code ${exit[1]}`;
}
