import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { InMemoryTransport } from '@modelcontextprotocol/sdk/inMemory.js';
import type { Transport } from '@modelcontextprotocol/sdk/shared/transport.js';
import type { JSONRPCMessage } from '@modelcontextprotocol/sdk/types.js';
import { createServer, type ServerOptions, type TaskServer } from 'mcp-taskpool';
import { TaskClient, type TaskSnapshot, type ToolTask } from 'mcp-taskpool/client';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { toolSource } from '../folder.ts';
import { ChildTransport } from './child-transport.ts';
import { Control } from './control.ts';
import { Pings } from './pings.ts';

const FOLDERS = fileURLToPath(new URL('../../dist/test-folders/', import.meta.url));

export interface Setting {
  where: 'in memory' | 'over stdio';
  isolation: 'thread' | 'process';
}

export const EVERYWHERE: Setting[] = [
  { where: 'in memory', isolation: 'thread' },
  { where: 'in memory', isolation: 'process' },
  { where: 'over stdio', isolation: 'thread' },
  { where: 'over stdio', isolation: 'process' },
];
/** For what ends or fills the process that it happens in: in threads of the server that would be the server. */
export const IN_A_PROCESS = EVERYWHERE.filter(({ isolation }) => isolation === 'process');
export const IN_MEMORY = EVERYWHERE.filter(({ where }) => where === 'in memory');
export const OVER_STDIO = EVERYWHERE.filter(({ where }) => where === 'over stdio');

export interface SceneOptions {
  /** What the tools' process may hold. */
  maxMemoryMb?: number;
  /** Of the server's environment, beside what this process has. */
  environment?: Record<string, string>;
  /** Names of variables that tools may see. */
  env?: string[];
  owner?: ServerOptions['owner'];
}

const GRACE_MS = 50;

/** One for all scenes of a file. */
const control = new Control();
afterAll(() => control.close());

/** Two tools that every scene has: one that runs all along, and one that runs after. */
const CAST = {
  // Proves that nothing was done to it: what it computes before and after is the same.
  stand_by: toolSource(
    `input: z.object({ seed: z.number(), gate: z.string() }), run: async ({ seed, gate }) => {
      const before = work(seed);
      while (!existsSync(gate)) await new Promise((resolve) => setTimeout(resolve, 5));
      return { before, after: work(seed) };
    }`,
    `import { existsSync } from 'node:fs';
     const work = (seed) => {
       for (let n = 0; n < 10_000; n++) seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648;
       return seed;
     };`,
  ),
  next: toolSource('run: () => ({ pid: process.pid })'),
};

function work(seed: number): number {
  let value = seed;
  for (let n = 0; n < 10_000; n++) value = (value * 1_103_515_245 + 12_345) % 2_147_483_648;
  return value;
}

/** A server of tools that misbehave, with two CPU threads, and a client of it. */
export class Scene {
  readonly setting: Setting;
  readonly #tools: Readonly<Record<string, string>>;
  readonly #options: SceneOptions;
  readonly #received: JSONRPCMessage[] = [];
  readonly #said: string[] = [];
  /** Of processes that the server has started. */
  readonly #pids = new Set<number>();
  #acts = 0;
  #folder!: string;
  #client!: TaskClient;
  #transport!: Transport;
  #child: ChildTransport | undefined;
  #server: TaskServer | undefined;
  #open: Record<string, number> = {};

  /** @param tools each tool's options, as source */
  constructor(setting: Setting, tools: Readonly<Record<string, string>>, options: SceneOptions) {
    this.setting = setting;
    const sources = Object.entries(tools).map(([name, options]) => [name, toolSource(options)]);
    this.#tools = { ...CAST, ...(Object.fromEntries(sources) as typeof tools) };
    this.#options = options;
  }

  get client(): TaskClient {
    return this.#client;
  }

  /** A folder of its own, with the tools in it. */
  get folder(): string {
    return this.#folder;
  }

  /** The server's process; over stdio only. */
  get child(): ChildTransport {
    return this.#child!;
  }

  /** The process of the server. */
  get pid(): number {
    return this.#child?.pid ?? process.pid;
  }

  /** The server; in memory only. */
  get server(): TaskServer {
    return this.#server!;
  }

  /** What the first client has been sent, in order. */
  get received(): readonly JSONRPCMessage[] {
    return this.#received;
  }

  /** What the operator sees: the log, and what the tools' process prints. */
  get said(): string {
    return this.#child?.stderr ?? this.#said.join('');
  }

  async open(): Promise<void> {
    await mkdir(FOLDERS, { recursive: true });
    this.#folder = await mkdtemp(join(FOLDERS, 'scene-'));
    for (const [name, source] of Object.entries(this.#tools))
      await writeFile(join(this.#folder, `${name}.js`), source);
    const { maxMemoryMb, environment = {}, env = [], owner } = this.#options;
    const { where, isolation } = this.setting;
    if (where === 'over stdio') {
      const memory = maxMemoryMb === undefined ? [] : ['--max-memory-mb', `${maxMemoryMb}`];
      const names = env.flatMap((name) => ['--env', name]);
      this.#child = new ChildTransport(
        [
          '--tools',
          this.#folder,
          '--isolation',
          isolation,
          '--threads',
          '2',
          '--grace',
          `${GRACE_MS}`,
        ].concat(memory, names),
        environment,
      );
      this.#transport = this.#child;
      this.#client = await this.#connect(this.#child);
      this.#pids.add(this.#child.pid);
      return;
    }
    for (const [name, value] of Object.entries(environment)) vi.stubEnv(name, value);
    // What the tools' process says when it dies is passed on to there.
    vi.spyOn(process.stderr, 'write').mockImplementation((chunk) => {
      this.#said.push(String(chunk));
      return true;
    });
    const tell = (fields: object, message: string) =>
      void this.#said.push(`${message} ${JSON.stringify(fields)}\n`);
    this.#open = whatIsOpen();
    this.#server = await createServer({
      tools: this.#folder,
      isolation,
      threads: 2,
      graceMs: GRACE_MS,
      log: { info: () => {}, warn: tell, error: tell },
      ...(maxMemoryMb !== undefined && { maxMemoryMb }),
      ...(owner !== undefined && { owner }),
      ...(env.length > 0 && { env }),
    });
    this.#transport = await this.#link();
    this.#client = await this.#connect(this.#transport);
  }

  /** Another client of the same owner; in memory only. */
  async join(): Promise<TaskClient> {
    return TaskClient.connect(await this.#link());
  }

  /** Sends what the client never would, and gives the server's answer. */
  async ask(message: { id: number } & Record<string, unknown>, line = JSON.stringify(message)) {
    // Not awaited: a server that reads no more would hold the test up.
    void (this.#child === undefined
      ? this.#transport.send(message as unknown as JSONRPCMessage)
      : this.#child.write(`${line}\n`));
    return this.answer(message.id);
  }

  /** The server's answer to the message with this id. */
  async answer(id: number): Promise<Record<string, unknown>> {
    const find = () => this.#received.find((message) => 'id' in message && message.id === id);
    await expect.poll(find, { timeout: 20_000 }).toBeDefined();
    return find() as unknown as Record<string, unknown>;
  }

  /** Gives a task that has begun: its tool reports progress first. In an object, as it can be awaited. */
  async begun(
    tool: string,
    args: Record<string, unknown> = {},
    options: { ttl?: number } = {},
  ): Promise<{ task: ToolTask; taskId: string }> {
    let report!: () => void;
    const reported = new Promise<void>((resolve) => (report = resolve));
    const task = this.#client.startTask(tool, args, { ...options, onProgress: () => report() });
    const taskId = (await task.created())!;
    await reported;
    return { task, taskId };
  }

  /** The end of a task that may have none: then it is cancelled, so that the next test has its thread. */
  async endOf(task: ToolTask): Promise<TaskSnapshot> {
    try {
      return await task.wait({ timeoutMs: 3000 });
    } catch (error) {
      await task.cancel();
      throw error;
    }
  }

  /**
   * Runs what is at fault, and checks what nobody else may feel of it: another task ran all along beside it
   * and has the right result, or where the tools' process dies, fails with that cause; the next task runs; pings
   * were answered; standard output has nothing but messages.
   * @param others what becomes of the other task: it ends with its result, or fails like this
   */
  async during<T>(
    fault: (client: TaskClient) => Promise<T>,
    others: 'finish' | 'may die' | RegExp = 'finish',
  ): Promise<T> {
    const client = this.#client;
    const seed = ++this.#acts;
    const gate = join(this.#folder, `gate-${seed}`);
    const other = client.startTask('stand_by', { seed, gate });
    await other.wait({ status: 'working' });
    const pings = await Pings.start(client, control, this.pid);
    let value: T;
    let next: Promise<unknown>;
    try {
      value = await fault(client);
      next = client.startTask<{ pid: number }>('next').result();
      const { data } = (await next) as { data: { pid: number } };
      expect(data).toEqual({ pid: expect.any(Number) });
      this.#pids.add(data.pid);
    } finally {
      await writeFile(gate, '');
      await pings.stop();
      await other.wait();
    }
    const expected = { before: work(seed), after: work(seed) };
    if (others === 'finish') expect((await other).data).toEqual(expected);
    else if (others !== 'may die') await expect(other.result()).rejects.toThrow(others);
    else {
      const end = await other.then(
        ({ data }) => data,
        (error: unknown) => String(error),
      );
      expect([expected, expect.stringMatching(/stand_by did not finish/)]).toContainEqual(end);
    }
    expect(this.#child?.strayLines ?? []).toEqual([]);
    return value;
  }

  /** Closes the server, and finds nothing of it. */
  async leavesNothingBehind(): Promise<void> {
    await this.close();
    if (this.#child !== undefined) {
      // It ended by itself: nothing kept it running.
      expect(await this.#child.ended).toEqual({ code: 0, signal: null });
      expect(this.#child.strayLines).toEqual([]);
    } else {
      const more = () =>
        Object.entries(whatIsOpen()).filter(([kind, count]) => count > (this.#open[kind] ?? 0));
      await expect.poll(more, { timeout: 5000 }).toEqual([]);
    }
    this.#pids.delete(process.pid);
    await expect.poll(() => [...this.#pids].filter(isAlive)).toEqual([]);
  }

  async close(): Promise<void> {
    await this.#client?.close();
    await this.#server?.close({ drainMs: 1000 });
    vi.restoreAllMocks();
    vi.unstubAllEnvs();
  }

  async clear(): Promise<void> {
    await this.close();
    await rm(this.#folder, { recursive: true, force: true });
  }

  async #link(): Promise<Transport> {
    const [near, far] = InMemoryTransport.createLinkedPair();
    await this.server.connect(far);
    return near;
  }

  async #connect(transport: Transport): Promise<TaskClient> {
    const client = await TaskClient.connect(transport);
    const { onmessage } = transport;
    transport.onmessage = (message, extra) => {
      this.#received.push(message);
      onmessage?.(message, extra);
    };
    return client;
  }
}

/** The tests of one kind of fault, in each setting: they share a server, and it leaves nothing behind. */
export function stage(
  settings: Setting[],
  tools: Readonly<Record<string, string>>,
  rows: (scene: Scene) => void,
  options: SceneOptions = {},
): void {
  describe.each(settings)('$where, with tools in a $isolation', (setting) => {
    const scene = new Scene(setting, tools, options);
    beforeAll(() => scene.open());
    afterAll(() => scene.clear());
    rows(scene);
    it('leaves no process, handle or listener behind', () => scene.leavesNothingBehind());
  });
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

/** What keeps a process running, and who listens to it: how many of each. */
function whatIsOpen(): Record<string, number> {
  const open: Record<string, number> = {};
  for (const kind of process.getActiveResourcesInfo()) open[kind] = (open[kind] ?? 0) + 1;
  for (const event of process.eventNames()) open[`on ${String(event)}`] = process.listenerCount(event);
  return open;
}
