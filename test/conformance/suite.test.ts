import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startHttpServer, type HttpServer } from '../http-server.ts';
import { run } from './packages.ts';

const TOOLS = fileURLToPath(new URL('../../dist/test/fixtures/conformance-tools/', import.meta.url));

let server: HttpServer;
beforeAll(async () => {
  server = await startHttpServer(['--tools', TOOLS, '--log-level', 'silent']);
});
afterAll(() => server.stop());

/** The list of what the suite may fail in, and must. */
const listOf = (name: string) => fileURLToPath(new URL(`expected-failures/${name}.yaml`, import.meta.url));

/** Runs scenarios of the official suite, which compares their failures with a list. */
const suite = (list: string, ...args: readonly string[]) =>
  run('conformance', ['server', '--url', server.url, '--expected-failures', listOf(list), ...args]);

describe.each(['2025-11-25', '2026-07-28'])('The official suite, for %s,', (revision) => {
  it('fails in what is listed, and in nothing else', async () => {
    const { code, stdout, output } = await suite(revision, '--suite', 'all', '--spec-version', revision);
    expect(code, output).toBe(0);
    // The suite itself takes no notice of entries that name no scenario, or a check that it did not come to.
    const list = await readFile(listOf(revision), 'utf8');
    const listed = new Set(Array.from(list.matchAll(/^ +- (\S+)/gm), ([, entry]) => entry));
    const failed = new Set(Array.from(stdout.matchAll(/^ +~ (\S+)$/gm), ([, entry]) => entry));
    expect(listed).toEqual(failed);
    console.log(`${revision}: ${/^Total: .*/m.exec(stdout)?.[0]}, all of them expected`);
  });
});

describe('The official suite, for the tasks extension,', async () => {
  const { stdout } = await run('conformance', ['list', '--server']);
  const scenarios = Array.from(stdout.matchAll(/^ +- (tasks-\S+)/gm), ([, name]) => name!);

  it('has scenarios', () => {
    expect(scenarios.length).toBeGreaterThanOrEqual(10);
  });

  it.each(scenarios)('fails in nothing: %s', async (scenario) => {
    const { code, stdout, output } = await suite('tasks', '--scenario', scenario);
    expect(code, output).toBe(0);
    console.log(`${scenario}: ${/^Passed: .*/m.exec(stdout)?.[0]}`);
  });
});
