import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const OWNERS = ['ada', 'grace'];

/** A folder with all that outlives the servers. */
export interface Place {
  readonly folder: string;
  /** The file in which tasks are kept. */
  readonly file: string;
  /** The file of tokens, by which callers are the same owners for every server. */
  readonly tokens: string;
  readonly owners: readonly { readonly name: string; readonly token: string }[];
  /** The file in which tools leave a line for each start. */
  readonly starts: string;
}

export async function openPlace(): Promise<Place> {
  const folder = await mkdtemp(join(tmpdir(), 'mcp-taskpool-chaos-'));
  const [file, tokens, starts] = ['tasks.db', 'tokens', 'starts'].map((name) => join(folder, name)) as [
    string,
    string,
    string,
  ];
  const owners = OWNERS.map((name) => ({ name, token: `the-token-of-${name}` }));
  await writeFile(tokens, owners.map(({ name, token }) => `${token} ${name}\n`).join(''), { mode: 0o600 });
  await writeFile(starts, '');
  return { folder, file, tokens, owners, starts };
}

export function removePlace({ folder }: Place): Promise<void> {
  return rm(folder, { recursive: true, force: true });
}

/** Where each start of a run went on from, by the nonces of the calls. */
export async function startsOf({ starts }: Place): Promise<Map<string, number[]>> {
  const found = new Map<string, number[]>();
  const lines = (await readFile(starts, 'utf8')).split('\n');
  for (const line of lines.slice(0, -1)) {
    const [nonce = '', from] = line.split(' ');
    const of = found.get(nonce);
    if (of === undefined) found.set(nonce, [Number(from)]);
    else of.push(Number(from));
  }
  return found;
}
