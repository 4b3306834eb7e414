import { mkdir, symlink } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { defaultStorePath, storePathOf, storePlace, type Surroundings } from '../../src/cli/store-place.ts';
import { emptyFolder } from '../wire/fixtures.ts';

const linux: Surroundings = { platform: 'linux', env: {}, home: '/home/ada' };
const windows: Surroundings = { platform: 'win32', env: {}, home: 'C:\\Users\\ada' };

describe('The place of the tasks of a tools folder', () => {
  it.each<[string, Surroundings, string]>([
    ['on Linux', linux, '/home/ada/.local/state/mcp-taskpool/'],
    ['on FreeBSD', { ...linux, platform: 'freebsd' }, '/home/ada/.local/state/mcp-taskpool/'],
    ['where XDG says so', { ...linux, env: { XDG_STATE_HOME: '/state' } }, '/state/mcp-taskpool/'],
    [
      'where XDG_STATE_HOME is not absolute, and so to be ignored',
      { ...linux, env: { XDG_STATE_HOME: 'state' } },
      '/home/ada/.local/state/mcp-taskpool/',
    ],
    [
      'on macOS, which has a place of its own',
      { platform: 'darwin', env: { XDG_STATE_HOME: '/state' }, home: '/Users/ada' },
      '/Users/ada/Library/Application Support/mcp-taskpool/',
    ],
    ['on Windows', { ...windows, env: { LOCALAPPDATA: 'D:\\Local' } }, 'D:\\Local\\mcp-taskpool\\'],
    ['on Windows without LOCALAPPDATA', windows, 'C:\\Users\\ada\\AppData\\Local\\mcp-taskpool\\'],
  ])('is in the state folder: %s', (_, surroundings, folder) => {
    const tools = surroundings.platform === 'win32' ? 'E:\\srv\\tools' : '/srv/tools';
    const path = storePathOf(tools, surroundings);
    expect(path.slice(0, folder.length)).toBe(folder);
    expect(path.slice(folder.length)).toMatch(/^tools-[\da-f]{10}\.db$/);
  });

  it('is another for each folder, though they have the same name', () => {
    expect(storePathOf('/one/tools', linux)).not.toBe(storePathOf('/two/tools', linux));
    expect(storePathOf('/one/tools', linux)).toBe(storePathOf('/one/tools', linux));
  });

  it.each(['/', '/a\nb c', `/${'x'.repeat(255)}`, `/${'漢'.repeat(85)}`, '/..x/:*?"<>|'])(
    'has a name that a file can have, for %j',
    (tools) => {
      const name = storePathOf(tools, linux).split('/').at(-1)!;
      expect(name).toMatch(/^[\p{L}\p{N}._-]*-[\da-f]{10}\.db$/u);
      expect(Buffer.byteLength(`${name}-journal`)).toBeLessThan(255);
    },
  );

  it('cannot be told where there is no home', () => {
    expect(() => storePathOf('/tools', { ...linux, home: '' })).toThrow(
      /^No home folder is known.*--store sqlite:PATH/,
    );
  });

  it('is the same by whatever path the folder is named', async () => {
    const folder = await emptyFolder();
    await mkdir(join(folder, 'tools'));
    await symlink(join(folder, 'tools'), join(folder, 'link'));
    const path = await defaultStorePath(join(folder, 'tools'));
    expect(await defaultStorePath(join(folder, 'link'))).toBe(path);
    expect(await defaultStorePath(join(folder, 'tools', '..', 'tools/'))).toBe(path);
  });
});

describe('--store', () => {
  it.each([
    ['memory', { type: 'memory' }],
    ['sqlite:/a/b.db', { type: 'sqlite', path: '/a/b.db' }],
    ['sqlite:b.db', { type: 'sqlite', path: join(process.cwd(), 'b.db') }],
    ['sqlite:~/b.db', { type: 'sqlite', path: join(homedir(), 'b.db') }],
    ['sqlite:file:b.db?mode=memory', { type: 'sqlite', path: join(process.cwd(), 'file:b.db?mode=memory') }],
  ])('understands %s', (value, place) => {
    expect(storePlace(value)).toEqual(place);
  });

  it.each(['', 'disk', 'sqlite', 'sqlite:', 'sqlite::memory:', '/a/b.db', 'Memory', 'sqlite:/a/'])(
    'refuses %j',
    (value) => {
      expect(() => storePlace(value)).toThrow('Expected sqlite:PATH or memory.');
    },
  );
});
