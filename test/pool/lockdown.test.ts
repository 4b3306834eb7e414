import { join } from 'node:path';
import { createServer, OptionError } from 'mcp-taskpool';
import { describe, expect, it } from 'vitest';
import { folderWith, toolSource } from '../folder.ts';
import { serve as serveWith } from './serve.ts';

const READ = `input: z.object({ path: z.string() }), run: async ({ path }) => {
  const { readFile } = await import('node:fs/promises');
  return readFile(path, 'utf8');
}`;

const textOf = ({ content }: { content: unknown[] }) => (content[0] as { text: string }).text;

describe('A server under lockdown', () => {
  it('lets tools read the named folders only', async () => {
    const open = await folderWith({ a: 'open' });
    const { connect } = await serveWith({ read: READ }, { isolation: 'process', lockdown: { read: [open] } });
    const client = await connect();
    const read = async (path: string) => textOf(await client.result(await client.start('read', { path })));
    expect(await read(join(open, 'a'))).toBe('open');
    expect(await read('/etc/hostname')).toBe('Access to this API has been restricted');
  });

  it('lets no tool write a file or start a process', async () => {
    const folder = await folderWith({});
    const { connect } = await serveWith(
      {
        write: `run: async () => {
          const { writeFile } = await import('node:fs/promises');
          await writeFile(${JSON.stringify(join(folder, 'written'))}, '');
        }`,
        spawn: `run: async () => {
          const { execFileSync } = await import('node:child_process');
          execFileSync('true');
        }`,
      },
      { isolation: 'process', lockdown: { read: [folder] } },
    );
    const client = await connect();
    for (const name of ['write', 'spawn']) {
      expect(textOf(await client.result(await client.start(name)))).toBe(
        'Access to this API has been restricted',
      );
    }
  });

  it('holds a module to it when it is imported, too', async () => {
    const folder = await folderWith({
      'a.js': toolSource('', "import { readFileSync } from 'node:fs'; readFileSync('/etc/hostname');"),
    });
    await expect(
      createServer({ tools: folder, isolation: 'process', lockdown: { read: [] } }),
    ).rejects.toThrow(`${join(folder, 'a.js')}: Access to this API has been restricted`);
  });

  it('needs a process of its own', async () => {
    const folder = await folderWith({ 'a.js': toolSource('') });
    await expect(createServer({ tools: folder, lockdown: { read: [] } })).rejects.toThrow(OptionError);
  });
});
