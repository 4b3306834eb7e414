import { readFile } from 'node:fs/promises';
import { expect, it } from 'vitest';
import { INSPECTOR_ACTS } from '../conformance/inspector-acts.ts';
import { ACTS } from './acts.ts';
import { CLIENTS, ROWS } from './clients/all.ts';
import { TRANSPORTS } from './places.ts';

const COLUMNS = [...new Set(ACTS.map(({ column }) => column)), 'resume'];
const INSPECTOR = '@modelcontextprotocol/inspector 2.12';
const read = (path: string) => readFile(new URL(`../../${path}`, import.meta.url), 'utf8');

/** The table that says which client can do what: everywhere, over HTTP alone, or not at all. */
function table(): string[][] {
  const clients = ROWS.map(({ name, generation, means }) => {
    const can = (column: string) => ACTS.some((act) => act.column === column && means.includes(act.needs));
    const cells = COLUMNS.map((column) => (can(column) ? '✓' : '–'));
    // It takes a server that outlives the client.
    return [name, generation, ...cells.slice(0, -1), means.includes('resume') ? 'HTTP' : '–'];
  });
  const inspectors = ['2025-11-25', '2026-07-28'].map((generation) => {
    const cells = COLUMNS.map((column) => {
      const transports = TRANSPORTS.filter((transport) =>
        INSPECTOR_ACTS.some(
          (act) =>
            act.columns.includes(column) &&
            (act.generation ?? generation) === generation &&
            (act.transport ?? transport) === transport,
        ),
      );
      return transports.length === TRANSPORTS.length ? '✓' : transports.length === 0 ? '–' : 'HTTP';
    });
    return [INSPECTOR, generation, ...cells];
  });
  return [['client', 'protocol', ...COLUMNS], ...clients, ...inspectors];
}

it("says in the README's table what these tests and those of the Inspector show", async () => {
  const [, section = ''] = /^### Clients .*?$(.*?)^#/ms.exec(await read('README.md')) ?? [];
  const rows = section
    .split('\n')
    .filter((line) => line.startsWith('|') && !/^\| ?-/.test(line))
    .map((line) => line.split('|').slice(1, -1));
  const cells = rows.map((row) => row.map((cell) => cell.replaceAll('`', '').trim()));
  expect(cells).toEqual(table());
});

it('names the versions that are installed', async () => {
  const installed: Record<string, string> = {};
  for (const path of ['package.json', 'test/conformance/package.json']) {
    const { dependencies, devDependencies } = JSON.parse(await read(path)) as Record<string, object>;
    Object.assign(installed, dependencies, devDependencies);
  }
  for (const name of [...CLIENTS.map((client) => client.name), INSPECTOR]) {
    const [client, version] = name.split(' ') as [string, string];
    expect({ client, version: installed[client] }).toEqual({
      client,
      version: expect.stringMatching(`^${version}\\.`),
    });
  }
});
