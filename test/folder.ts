import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { onTestFinished } from 'vitest';

const ROOT = fileURLToPath(new URL('../dist/test-folders/', import.meta.url));

/** A folder with these files, below the package so that they can import it by its name; gone after the test. */
export async function folderWith(files: Readonly<Record<string, string>>): Promise<string> {
  await mkdir(ROOT, { recursive: true });
  const folder = await mkdtemp(join(ROOT, 'tools-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  for (const [name, content] of Object.entries(files)) {
    await mkdir(dirname(join(folder, name)), { recursive: true });
    await writeFile(join(folder, name), content);
  }
  return folder;
}

/** The source of a tool module. */
export function toolSource(options: string, before = ''): string {
  return `
    import { defineTool } from 'mcp-taskpool/tool';
    import { z } from 'zod';
    ${before}
    export default defineTool({ description: 'A tool', input: z.object({}), run: () => 'done', ${options} });
  `;
}
