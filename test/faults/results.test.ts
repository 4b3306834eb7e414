import { describe, expect, it } from 'vitest';
import { EVERYWHERE, stage } from './scene.ts';

const tools = {
  function: 'run: () => ({ a: [0, { f() {} }] })',
  circle: 'run: () => { const a = { b: {} }; a.b.c = a; return a; }',
  bigint: 'run: () => ({ a: { n: 1n } })',
  nan: 'run: () => ({ a: [NaN] })',
  infinity: 'run: () => ({ a: -Infinity })',
  map: 'run: () => ({ a: new Map([[1, 2]]) })',
  symbol: "run: () => ({ a: Symbol('s') })",
  getter: "run: () => ({ a: { get b() { throw new Error('no'); } } })",
  large_text: "run: () => 'x'.repeat(50 * 2 ** 20)",
  large_array: 'run: () => ({ a: Array.from({ length: 8e6 }, (_, n) => n) })',
  large_block: "run: () => ({ content: [{ type: 'text', text: 'x'.repeat(50 * 2 ** 20) }] })",
  deep: 'run: () => { let a = {}; for (let n = 0; n < 1e5; n++) a = { a }; return a; }',
  bare_function: 'run: () => () => {}',
  within_a_full_result:
    "run: () => ({ content: [{ type: 'text', text: 't' }], structuredContent: { f() {} } })",
};

/** What JSON makes of each is fine, but a thread cannot send it as it is. */
const odd = {
  to_json: "run: () => ({ a: { f() {}, toJSON: () => 'plain' } })",
  to_json_at_the_top: 'run: () => ({ f() {}, toJSON: () => ({ a: 1 }) })',
  url: "run: () => ({ a: new URL('http://localhost/') })",
  date: 'run: () => ({ a: new Date(0) })',
  proxy: 'run: () => new Proxy({ a: 1 }, {})',
  shared_memory: 'run: () => ({ a: new SharedArrayBuffer(8) })',
  changing_getter:
    'run: () => { let reads = 0; return { get a() { return ++reads === 1 ? 1 : () => {}; } }; }',
};

describe('A tool that returns what', () => {
  stage(EVERYWHERE, odd, (scene) => {
    it.each([
      ['to_json', { a: 'plain' }],
      ['to_json_at_the_top', { a: 1 }],
      ['url', { a: 'http://localhost/' }],
      ['date', { a: '1970-01-01T00:00:00.000Z' }],
      ['proxy', { a: 1 }],
      ['shared_memory', { a: {} }],
    ])('only JSON can say has that for a result: %s', async (tool, expected) => {
      const result = await scene.during(async (client) => {
        const task = client.startTask(tool);
        await scene.endOf(task);
        return task.result();
      });
      // As it would travel; in memory nothing turns it into JSON.
      expect(JSON.parse(JSON.stringify(result.structuredContent))).toEqual(expected);
      expect(JSON.parse(result.text)).toEqual(expected);
    });

    it('changes as it is read ends, one way or the other', async () => {
      const task = await scene.during((client) => scene.endOf(client.startTask('changing_getter')));
      expect(['completed', 'failed']).toContain(task.status);
    });
  });
});

describe('A tool that returns what cannot be sent', () => {
  stage(EVERYWHERE, tools, (scene) => {
    it.each([
      ['function', /result\.a\.1\.f: a function is not JSON/],
      ['circle', /result\.b\.c: is circular/],
      ['bigint', /result\.a\.n: a BigInt is not JSON/],
      ['nan', /result\.a\.0: NaN is not a number that JSON has/],
      ['infinity', /result\.a: -Infinity is not a number that JSON has/],
      ['map', /result\.a: a Map is not JSON/],
      ['symbol', /result\.a: a symbol is not JSON/],
      ['getter', /result\.a\.b: cannot be read: no/],
      ['large_text', /result: larger than 10 MB/],
      ['large_array', /result\.a\.\d+: larger than 10 MB/],
      ['large_block', /result\.content\.0\.text: larger than 10 MB/],
      ['deep', /result\.a\.a\..*: nested deeper than 1000/],
      ['bare_function', /result: a function is not JSON/],
      ['within_a_full_result', /result\.structuredContent\.f: a function is not JSON/],
    ])('fails, with what and where: %s', async (tool, reason) => {
      const end = await scene.during(async (client) => {
        const task = client.startTask(tool);
        const { isError, text } = await task.result();
        return { isError, text, status: (await task.status()).status };
      });
      expect(end).toEqual({ isError: true, status: 'failed', text: expect.stringMatching(reason) });
    });
  });
});
