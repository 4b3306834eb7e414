import { fileURLToPath } from 'node:url';
import type { Place } from './clients/client.ts';

const CLI = fileURLToPath(new URL('../../dist/src/cli/main.js', import.meta.url));
const TOOLS = fileURLToPath(new URL('../../dist/test/fixtures/conformance-tools/', import.meta.url));
const OPTIONS = ['--tools', TOOLS, '--log-level', 'silent'];

export const TRANSPORTS: readonly Place['transport'][] = ['stdio'];

/** Where clients find a server of the fixture tools, which is there until the end of the test file. */
export async function openPlace(transport: Place['transport']): Promise<Place> {
  if (transport === 'stdio')
    return { transport, command: process.execPath, args: [CLI, 'serve', ...OPTIONS] };
  throw new Error('not yet');
}
