import { statSync } from 'node:fs';
import { relative } from 'node:path';
import { defineTool } from 'mcp-taskpool/tool';
import { z } from 'zod';
import { allowedPath, reason } from './_allowed_root.ts';
import { ChangedError, type File, sha256, walk } from './_files.ts';

const MAX_PATHS = 100;
const MAX_SKIPPED = 100;

const Group = z.object({
  sha256: z.string().describe('Hash of the content, in hexadecimal'),
  size: z.int().describe('Size of one copy in bytes'),
  copies: z.int().describe('How many files have this content'),
  paths: z.array(z.string()).describe(`Where they are, within root; the first ${MAX_PATHS}`),
});
const Skipped = z.object({
  path: z.string().describe('Within root'),
  reason: z.string().describe('Why it could not be read'),
});

export default defineTool({
  title: 'Find duplicate files',
  description:
    'Find the files within a folder that have the same content, and how many bytes the surplus copies take. ' +
    'Symbolic links are not followed; hard links to one file are one file',
  env: ['MCP_TASKPOOL_ROOT'],
  input: z.object({
    path: z.string().min(1).describe('The folder to search, with all folders in it'),
    minBytes: z.int().min(0).default(1).describe('Leave out files smaller than this'),
    maxGroups: z
      .int()
      .min(0)
      .max(1000)
      .default(50)
      .describe('How many groups to return, the most wasteful first'),
  }),
  output: z.object({
    root: z.string().describe('The real path of the folder searched'),
    files: z.int().describe('How many files were looked at'),
    bytes: z.int().describe('Their total size'),
    groups: z.array(Group).describe('Files with the same content, the most wasteful group first'),
    groupCount: z.int().describe('How many groups there are, returned or not'),
    wastedBytes: z.int().describe('What all copies but one in each group take'),
    skipped: z.array(Skipped).describe(`What could not be read; the first ${MAX_SKIPPED}`),
    skippedCount: z.int().describe('How many files and folders could not be read'),
  }),
  annotations: { readOnlyHint: true, idempotentHint: true, openWorldHint: false },
  task: 'optional',
  workload: 'cpu',
  idempotent: true,
  // The file calls are the synchronous ones: a cpu tool has its thread to itself, and they are faster.
  async run({ path, minBytes, maxGroups }, { signal, progress }) {
    const root = await allowedPath(path);
    if (!statSync(root).isDirectory()) throw new Error(`${path} is not a folder`);
    const skipped: z.infer<typeof Skipped>[] = [];
    const skip = (where: string, why: string) =>
      void skipped.push({ path: relative(root, where), reason: why });

    let files = 0;
    let bytes = 0;
    const bySize = new Map<number, File[]>();
    for (const file of walk(root, path, skip)) {
      signal.throwIfAborted();
      if (file.size < minBytes) continue;
      files++;
      bytes += file.size;
      const sameSize = bySize.get(file.size);
      if (sameSize) sameSize.push(file);
      else bySize.set(file.size, [file]);
      progress(files, undefined, `found ${files} files`);
    }

    // Only a file that has another of its size can have a duplicate.
    const candidates = [...bySize.values()].filter((sameSize) => sameSize.length > 1).flat();
    const toHash = candidates.reduce((sum, { size }) => sum + size, 0);
    let hashed = 0;
    const report = (n: number) => {
      hashed += n;
      // One scale for both halves of the work, since progress may only rise: files found, then files hashed.
      const done = toHash === 0 ? 1 : Math.min(1, hashed / toHash);
      const message = `hashed ${hashed} of ${toHash} bytes`;
      progress(files + done * candidates.length, files + candidates.length, message);
    };
    const byHash = new Map<string, File[]>();
    for (const file of candidates) {
      try {
        const hash = sha256(file, signal, report);
        const same = byHash.get(hash);
        if (same) same.push(file);
        else byHash.set(hash, [file]);
      } catch (error) {
        signal.throwIfAborted();
        skip(file.path, error instanceof ChangedError ? error.message : reason(error));
      }
    }

    progress(files + candidates.length, files + candidates.length, `hashed ${candidates.length} files`);

    const groups = [...byHash]
      .filter(([, same]) => same.length > 1)
      .map(([hash, same]) => ({
        sha256: hash,
        size: same[0]!.size,
        paths: same.map((file) => file.path).toSorted(),
      }))
      .toSorted((a, b) => wasted(b) - wasted(a) || (a.paths[0]! < b.paths[0]! ? -1 : 1));
    return {
      root,
      files,
      bytes,
      groups: groups.slice(0, maxGroups).map((group) => ({
        ...group,
        copies: group.paths.length,
        paths: group.paths.slice(0, MAX_PATHS).map((where) => relative(root, where)),
      })),
      groupCount: groups.length,
      wastedBytes: groups.reduce((sum, group) => sum + wasted(group), 0),
      skipped: skipped.slice(0, MAX_SKIPPED),
      skippedCount: skipped.length,
    };
  },
});

function wasted({ size, paths }: { size: number; paths: string[] }): number {
  return size * (paths.length - 1);
}
