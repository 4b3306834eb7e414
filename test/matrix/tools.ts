import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { toolSource } from '../folder.ts';

const ROOT = fileURLToPath(new URL('../../dist/test-folders/', import.meta.url));

const SUM =
  'input: z.object({ a: z.number(), b: z.number() }), output: z.object({ sum: z.number() }), run: ({ a, b }) => ({ sum: a + b })';
const ASK = "input({ message: 'Who?', requestedSchema: z.object({ name: z.string() }) })";

/** A tool of each kind. */
const SOURCES: Readonly<Record<string, string>> = {
  sync: toolSource(`task: 'forbidden', ${SUM}`),
  optional: toolSource(SUM),
  required: toolSource(`task: 'required', ${SUM}`),
  failing: toolSource("run: () => ({ content: [{ type: 'text', text: 'it is no good' }], isError: true })"),
  throwing: toolSource("run: () => { throw new Error('it broke'); }"),
  slow: toolSource('timeoutMs: 50, run: () => { for (;;); }'),
  asking: toolSource(`run: async (_, { input }) => (await ${ASK}).content`),
  asking_first: toolSource(`prepare: async (_, { input }) => (await ${ASK}).content, run: (name) => name`),
  endless: toolSource('run: (_, { progress }) => { for (let n = 1; ; n++) progress(n); }'),
};

/** A folder of these tools, for a whole test file. */
export async function folderOf(): Promise<string> {
  await mkdir(ROOT, { recursive: true });
  const folder = await mkdtemp(join(ROOT, 'tools-'));
  for (const [name, source] of Object.entries(SOURCES)) await writeFile(join(folder, `${name}.js`), source);
  return folder;
}

export function removeFolder(folder: string): Promise<void> {
  return rm(folder, { recursive: true, force: true });
}
