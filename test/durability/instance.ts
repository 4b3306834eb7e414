import { existsSync, readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { Transport } from '@modelcontextprotocol/sdk/shared/transport.js';
import type { TaskServer } from 'mcp-taskpool';
import { TaskClient, type ConnectOptions } from 'mcp-taskpool/client';
import { onTestFinished } from 'vitest';
import { ChildTransport } from '../faults/child-transport.ts';
import { folderWith } from '../folder.ts';
import { modernPeer, type ModernPeer } from '../wire/modern-peer.ts';
import { Peer } from '../wire/peer.ts';
import { TOOLS } from './tools.ts';

const DURABLE_SERVER = fileURLToPath(new URL('../../dist/test/fixtures/durable-server.js', import.meta.url));

/** Short of what makes others take it for dead. */
const FROZEN_MS = 400;

export interface InstanceOptions {
  readonly isolation?: 'process' | 'thread';
  /** Others are taken for dead after it. Without it, the server is `mcp-taskpool serve`. */
  readonly leaseMs?: number;
  /** A module that is loaded before it. */
  readonly preload?: string;
  readonly environment?: Readonly<Record<string, string>>;
}

/** What outlives the servers of a test: a file of tasks, the tools, and the files that these leave. */
export class Site {
  /** In which tasks are kept. */
  readonly file: string;
  readonly #folder: string;
  readonly #tools: string;

  private constructor(file: string, folder: string, tools: string) {
    this.file = file;
    this.#folder = folder;
    this.#tools = tools;
  }

  /** @param file where tasks are kept, if anywhere special */
  static async open(file?: string): Promise<Site> {
    const folder = await mkdtemp(join(tmpdir(), 'mcp-taskpool-'));
    onTestFinished(() => rm(folder, { recursive: true, force: true }));
    return new Site(file ?? join(folder, 'tasks.db'), folder, await folderWith(TOOLS));
  }

  /** A file that tools of this test can write, or wait for. */
  path(name: string): string {
    return join(this.#folder, name);
  }

  /** The lines that tools have left. */
  lines(name: string): string[] {
    const path = this.path(name);
    return existsSync(path) ? readFileSync(path, 'utf8').split('\n').slice(0, -1) : [];
  }

  /** A server on the file; killed after the test, if it is still there. */
  start({ isolation = 'process', leaseMs, preload, environment = {} }: InstanceOptions = {}): Instance {
    const node = preload === undefined ? [] : ['--import', preload];
    const child =
      leaseMs === undefined
        ? new ChildTransport(
            [
              ...['--tools', this.#tools, '--store', `sqlite:${this.file}`],
              ...['--isolation', isolation, '--threads', '1', '--grace', '50', '--drain', '0.5'],
            ],
            environment,
          )
        : new ChildTransport([this.file, this.#tools, isolation, `${leaseMs}`], environment, [
            ...node,
            DURABLE_SERVER,
          ]);
    onTestFinished(async () => {
      child.signal('SIGKILL');
      await child.ended;
    });
    return new Instance(child);
  }
}

/** A server in a process of its own, to one client. */
export class Instance {
  readonly child: ChildTransport;

  constructor(child: ChildTransport) {
    this.child = child;
  }

  /** It is closed when the server ends. */
  client(options: ConnectOptions = {}): Promise<TaskClient> {
    return TaskClient.connect(this.child, options);
  }

  /** A client of 2025-11-25 in plain JSON-RPC. */
  peer(): Promise<Peer> {
    return Peer.connect({ connect: (far) => this.#link(far) });
  }

  /** A client of 2026-07-28 in plain JSON-RPC. */
  modernPeer(): Promise<ModernPeer> {
    return modernPeer('a channel', { serve: (far) => this.#link(far) } as TaskServer);
  }

  /**
   * Stops it where it is, but not in the midst of a write: then it holds the lock of the file, and nobody can write
   * until it goes on, as with any file of SQLite.
   * @param other a client of another server on the file
   */
  async freeze(other: TaskClient): Promise<void> {
    for (;;) {
      this.child.signal('SIGSTOP');
      const created = other.startTask('quick').created();
      if (await Promise.race([created.then(() => true), sleep(FROZEN_MS, false)])) return;
      this.child.signal('SIGCONT');
      await created;
    }
  }

  /** Ends it as it stands. */
  async kill(): Promise<void> {
    this.child.signal('SIGKILL');
    await this.child.ended;
  }

  /** Ends it as its client does, or an operator. */
  async stop(signal?: 'SIGTERM'): Promise<{ code: number | null }> {
    if (signal === undefined) await this.child.close();
    else this.child.signal(signal);
    return this.child.ended;
  }

  async #link(far: Transport): Promise<void> {
    far.onmessage = (message) => void this.child.send(message);
    this.child.onmessage = (message) => void far.send(message);
    await far.start();
  }
}
