import { spawn } from 'node:child_process';
import { EventEmitter, once } from 'node:events';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { onTestFinished } from 'vitest';
import { emptyFolder } from '../wire/fixtures.ts';
import type { Json } from '../wire/peer.ts';

export const CLI = fileURLToPath(new URL('../../dist/src/cli/main.js', import.meta.url));

/** The command line in a process of its own; it ends with the test. */
export function start(...args: string[]) {
  return startWith({}, ...args);
}

/** The same with variables of its environment. */
export function startWith(environment: Readonly<Record<string, string>>, ...args: string[]) {
  const child = spawn(process.execPath, [CLI, ...args], { env: { ...process.env, ...environment } });
  onTestFinished(() => void child.kill('SIGKILL'));
  const stderr = text(child.stderr);
  let stdout = '';
  let lastId = 1000;
  const heard = new EventEmitter();
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    stdout += chunk;
    heard.emit('more');
  });
  const ended = once(child, 'close').then(async ([code]) => ({
    code: code as number | null,
    stdout,
    stderr: await stderr,
  }));
  const say = (message: object) => child.stdin.write(`${JSON.stringify(message)}\n`);
  const saidMatch = async (pattern: RegExp) => {
    let match: RegExpExecArray | null;
    while ((match = pattern.exec(stdout)) === null) await once(heard, 'more');
    return match;
  };
  return {
    child,
    ended,
    get stdout() {
      return stdout;
    },
    say,
    /** Resolves once the server has written this to its standard output. */
    said: async (words: string) => {
      while (!stdout.includes(words)) await once(heard, 'more');
    },
    saidMatch,
    /** Resolves with the answer to a request. */
    ask: async (method: string, params: object = {}): Promise<Json> => {
      const id = ++lastId;
      say({ jsonrpc: '2.0', id, method, params });
      const [line] = await saidMatch(new RegExp(`^.*"id":${id}[,}].*$`, 'm'));
      return JSON.parse(line) as Json;
    },
  };
}

/** A server that keeps its tasks in a file of its own, as one does that is told nothing of it. */
export async function serve(tools: string, ...options: string[]) {
  const store = join(await emptyFolder(), 'tasks.db');
  return start('serve', '--tools', tools, '--store', `sqlite:${store}`, ...options);
}

export const INITIALIZE = {
  jsonrpc: '2.0',
  id: 0,
  method: 'initialize',
  params: { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'test', version: '1' } },
};

export function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
