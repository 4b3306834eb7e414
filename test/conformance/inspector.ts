import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Generation, Place } from '../real-clients/clients/client.ts';
import { run } from './packages.ts';

/** JSON as the Inspector prints it. */
// oxlint-disable-next-line typescript/no-explicit-any
export type Json = Record<string, any>;

/**
 * The Inspector's command line: `mcpdo`, whose daemon keeps connections between commands, and which has the
 * methods of tasks; and `inspector --cli`, which connects for one command.
 */
export class Inspector {
  readonly #home: string;
  /** Nothing is read or kept in the user's home. */
  readonly #environment: Record<string, string>;

  private constructor(home: string) {
    this.#home = home;
    this.#environment = { HOME: home, MCP_INSPECTOR_SECRET_STORE: 'memory' };
  }

  static async start(): Promise<Inspector> {
    const inspector = new Inspector(await mkdtemp(join(tmpdir(), 'inspector-')));
    // A daemon that no other user of this machine knows.
    const { stdout } = await run('mcpdo', ['private'], inspector.#environment);
    for (const [, name, value] of stdout.matchAll(/^export (\w+)='(.*)'$/gm)) {
      inspector.#environment[name!] = value!;
    }
    return inspector;
  }

  /** Gives the protocol's era, as it was negotiated. */
  async connect(connection: string, place: Place, generation: Generation): Promise<unknown> {
    const era = generation === '2025-11-25' ? 'legacy' : 'modern';
    const target =
      place.transport === 'stdio'
        ? ['--', place.command, ...place.args]
        : [place.url, ...(place.authorization ? ['--header', `Authorization: ${place.authorization}`] : [])];
    return this.#mcpdo(['connect', `@${connection}`, '--era', era, ...target]);
  }

  /** What a method gives on a connection: its result, or `{ error }`. */
  async call(connection: string, method: string, ...args: readonly string[]): Promise<Json> {
    return this.#mcpdo(['--connection', connection, method, ...args]);
  }

  /** The same through `inspector --cli`, with a connection of its own. */
  async callOnce(place: Place, generation: Generation, ...args: readonly string[]): Promise<Json> {
    const era = generation === '2025-11-25' ? 'legacy' : 'modern';
    const target =
      place.transport === 'stdio'
        ? ['--', place.command, ...place.args]
        : ['--server-url', place.url, '--header', `Authorization: ${place.authorization}`];
    const options = ['--cli', '--format', 'json', '--protocol-era', era, ...args];
    return parse(await run('inspector', [...options, ...target], this.#environment));
  }

  async stop(): Promise<void> {
    await this.#mcpdo(['daemon', 'stop']);
    const { MCP_INSPECTOR_DAEMON_DIR: daemon } = this.#environment;
    for (const folder of [this.#home, daemon!]) await rm(folder, { recursive: true, force: true });
  }

  async #mcpdo(args: readonly string[]): Promise<Json> {
    return parse(await run('mcpdo', ['--format', 'json', ...args], this.#environment));
  }
}

/** A result goes to standard output, and an error, which is one line, to standard error. */
function parse({ stdout, output }: { stdout: string; output: string }): Json {
  const json = stdout.trim() === '' ? /^\{"error":.*\}$/m.exec(output)?.[0] : stdout;
  if (json === undefined) throw new Error(`The Inspector printed no JSON:\n${output}`);
  return JSON.parse(json) as Json;
}
