import { join } from 'node:path';
import { createServer, type Log } from 'mcp-taskpool';
import { describe, expect, it } from 'vitest';
import { folderWith, toolSource } from '../folder.ts';

describe.each(['thread', 'process'] as const)('The tools folder, read in a %s', (isolation) => {
  const toolsOf = async (folder: string): Promise<string[]> => {
    await using server = await createServer({ tools: folder, threads: 1, isolation });
    return server.tools;
  };

  const start = (folder: string) =>
    createServer({ tools: folder, threads: 1, loadTimeoutMs: 1000, isolation });

  it('gives a tool for each .js and .mjs module directly in it, named after its file', async () => {
    const folder = await folderWith({
      'one.js': toolSource(''),
      'two.mjs': toolSource(''),
      'deeper/three.js': toolSource(''),
      'notes.md': '# not a module',
      'one.d.ts': 'export {};',
    });
    expect(await toolsOf(folder)).toEqual(['one', 'two']);
  });

  it('leaves out files that begin with _ or a dot', async () => {
    const folder = await folderWith({ 'a.js': toolSource(''), '_b.js': 'throw 1', '.c.js': 'throw 1' });
    expect(await toolsOf(folder)).toEqual(['a']);
  });

  it('lets a tool have another name than its file', async () => {
    const folder = await folderWith({ 'a.js': toolSource("name: 'better.name'") });
    expect(await toolsOf(folder)).toEqual(['better.name']);
  });

  it('stops the start when a module throws, naming the file and the reason', async () => {
    const folder = await folderWith({
      'good.js': toolSource(''),
      'bad.js': "throw new Error('no database here')",
    });
    await expect(start(folder)).rejects.toThrow(`${join(folder, 'bad.js')}: no database here`);
  });

  it('stops the start when a module cannot be parsed', async () => {
    const folder = await folderWith({ 'bad.js': 'export default {{' });
    await expect(start(folder)).rejects.toThrow(`${join(folder, 'bad.js')}: SyntaxError: `);
  });

  it('stops the start when a default export is no tool', async () => {
    const folder = await folderWith({ 'bad.js': 'export default { run() {} }' });
    await expect(start(folder)).rejects.toThrow(
      `${join(folder, 'bad.js')}: the default export is not a tool: export default defineTool({ … })`,
    );
  });

  it('stops the start when two modules have one name, naming both files', async () => {
    const folder = await folderWith({ 'a.js': toolSource(''), 'b.js': toolSource("name: 'a'") });
    await expect(start(folder)).rejects.toThrow(
      `${join(folder, 'b.js')}: repeats the name "a" of ${join(folder, 'a.js')}`,
    );
  });

  it('names every module that is at fault, a line each', async () => {
    const folder = await folderWith({ 'a.js': 'throw 1', 'b.js': toolSource(''), 'c.js': "throw 'text'" });
    const error: unknown = await start(folder).catch((reason: unknown) => reason);
    expect(error).toMatchObject({
      name: 'CatalogError',
      problems: [`${join(folder, 'a.js')}: 1`, `${join(folder, 'c.js')}: text`],
    });
  });

  it('says which part of a definition is wrong', async () => {
    const folder = await folderWith({ 'a.js': toolSource('timeoutMs: -1'), 'b.js': toolSource('input: {}') });
    await expect(start(folder)).rejects.toThrow(
      /a\.js: TypeError: defineTool: `timeoutMs` must be a positive number of milliseconds\n.*b\.js: TypeError: defineTool: `input` must be a zod object/,
    );
  });

  it('says which schema has no JSON Schema', async () => {
    const folder = await folderWith({ 'a.js': toolSource('input: z.object({ when: z.date() })') });
    await expect(start(folder)).rejects.toThrow(/a\.js: `input` has no JSON Schema: /);
  });

  it('does not wait for ever for a module that spins when it is imported', async () => {
    const folder = await folderWith({ 'a.js': 'while (true);', 'b.js': toolSource('') });
    await expect(start(folder)).rejects.toThrow(`${join(folder, 'a.js')}: did not load within 1 s`);
  });

  it('survives a module that exits when it is imported', async () => {
    const folder = await folderWith({ 'a.js': 'process.exit(3);', 'b.js': toolSource('') });
    await expect(start(folder)).rejects.toThrow(
      `${join(folder, 'a.js')}: ended the ${isolation} with code 3 while it loaded`,
    );
  });

  it.runIf(isolation === 'process')('survives a module that crashes when it is imported', async () => {
    const folder = await folderWith({ 'a.js': "process.kill(process.pid, 'SIGSEGV'); while (true);" });
    await expect(start(folder)).rejects.toThrow(`${join(folder, 'a.js')}: died of SIGSEGV while it loaded`);
  });

  it.skipIf('typescript' in process.features)(
    'says what to do with TypeScript where Node does not run it',
    async () => {
      const folder = await folderWith({ 'a.ts': toolSource('') });
      await expect(start(folder)).rejects.toThrow(/a\.ts: Node v\S+ does not run TypeScript: build it/);
    },
  );

  it('is refused when it does not exist, is a file, or holds no module', async () => {
    const folder = await folderWith({ 'notes.md': '' });
    await expect(start(join(folder, 'nowhere'))).rejects.toThrow(
      `${join(folder, 'nowhere')}: there is no such folder`,
    );
    await expect(start(join(folder, 'notes.md'))).rejects.toThrow(
      `${join(folder, 'notes.md')}: is not a folder`,
    );
    await expect(start(folder)).rejects.toThrow(`${folder}: holds no tool module`);
  });

  it('is served without the modules at fault where that is allowed, with a warning for each', async () => {
    const folder = await folderWith({
      'a.js': 'while (true);',
      'b.js': toolSource(''),
      'c.js': 'process.exit(1)',
      'd.js': 'throw 1',
      'e.js': toolSource(''),
    });
    const warnings: string[] = [];
    const log: Log = { info: () => {}, warn: (_, message) => warnings.push(message), error: () => {} };
    await using server = await createServer({
      tools: folder,
      threads: 1,
      loadTimeoutMs: 1000,
      lenient: true,
      isolation,
      log,
    });
    expect(server.tools).toEqual(['b', 'e']);
    expect(warnings.map((warning) => warning.replace(folder, ''))).toEqual([
      'left out: /a.js: did not load within 1 s',
      `left out: /c.js: ended the ${isolation} with code 1 while it loaded`,
      'left out: /d.js: 1',
    ]);
  });
});
