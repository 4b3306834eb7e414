import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

/** Installs what this folder's lockfile names, and nothing else: neither for the project, nor by scripts. */
export default async function install(): Promise<void> {
  const options = ['--frozen-lockfile', '--ignore-workspace', '--ignore-scripts'];
  await promisify(execFile)('npx', ['-y', 'pnpm@12', 'install', ...options], {
    cwd: fileURLToPath(new URL('.', import.meta.url)),
  });
}
