import { mkdtemp, rm } from 'node:fs/promises';
import { existsSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createServer, type ServerOptions, type TaskServer } from 'mcp-taskpool';
import { afterAll, onTestFinished } from 'vitest';
import { callParams, type Json, type Peer } from './peer.ts';

/** The fixture tools, as they are built. */
const TOOLS = new URL('../../dist/test/fixtures/tools/', import.meta.url);

/** A server of the fixture tools, for all the tests of a file; it ends with them. */
export async function serveFixtures(options: Partial<ServerOptions> = {}): Promise<TaskServer> {
  const server = await createServer({ tools: TOOLS, threads: 1, ...options });
  afterAll(() => server.close({ drainMs: 1 }));
  return server;
}

/** A server of the fixture tools, for one test. */
export async function serveFixturesOnce(options: Partial<ServerOptions> = {}): Promise<TaskServer> {
  const server = await createServer({ tools: TOOLS, threads: 1, ...options });
  onTestFinished(() => server.close({ drainMs: 1 }));
  return server;
}

/** An empty folder; gone after the test. */
export async function emptyFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'mcp-taskpool-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** A file that does not exist: a tool waits until the test opens the gate, or the test until a tool has. */
export interface Gate {
  readonly path: string;
  readonly isOpen: boolean;
  open(): void;
  opened(): Promise<void>;
}

export async function newGate(): Promise<Gate> {
  const path = join(await emptyFolder(), 'gate');
  return {
    path,
    get isOpen() {
      return existsSync(path);
    },
    open: () => writeFileSync(path, ''),
    opened: () => until(() => existsSync(path)),
  };
}

/** Resolves once it is so: for what nobody notifies of. */
export async function until(isSo: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await isSo())) await new Promise(setImmediate);
}

/** Starts a task of a tool that leaves a file once it runs, and waits for the file. */
export async function startRunning(
  peer: Peer,
  tool: string,
  task: Json = {},
  progressToken?: string,
): Promise<Json> {
  const started = await newGate();
  const created = await peer.start(tool, { started: started.path }, task, progressToken);
  await started.opened();
  await peer.reached(created['taskId'], 'running');
  return created;
}

/** Sends a plain call of a tool that leaves a file once it runs, waits for the file, and gives the request's id. */
export async function callRunning(peer: Peer, tool: string, progressToken?: string): Promise<number> {
  const started = await newGate();
  const id = peer.send('tools/call', callParams(tool, { started: started.path }, undefined, progressToken));
  await started.opened();
  return id;
}
