import { fileURLToPath } from 'node:url';
import { afterAll } from 'vitest';
import { startHttpServer } from '../http-server.ts';
import type { Place } from './clients/client.ts';

const CLI = fileURLToPath(new URL('../../dist/src/cli/main.js', import.meta.url));
const TOOLS = fileURLToPath(new URL('../../dist/test/fixtures/conformance-tools/', import.meta.url));
const OPTIONS = ['--tools', TOOLS, '--store', 'memory', '--log-level', 'silent'];
/** Over HTTP, tasks are listed and found again for those who can be told from others. */
const TOKEN = 'a-token-that-nobody-guesses';

export const TRANSPORTS: readonly Place['transport'][] = ['stdio', 'http'];

/** Where clients find a server of the fixture tools, which is there until the end of the test file. */
export async function openPlace(transport: Place['transport']): Promise<Place> {
  if (transport === 'stdio')
    return { transport, command: process.execPath, args: [CLI, 'serve', ...OPTIONS] };
  const server = await startHttpServer(OPTIONS, TOKEN);
  afterAll(() => server.stop());
  return { transport, url: server.url, authorization: `Bearer ${TOKEN}` };
}
