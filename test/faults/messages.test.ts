import { describe, expect, it } from 'vitest';
import { EVERYWHERE, OVER_STDIO, stage } from './scene.ts';

const tools = {
  measure: 'input: z.object({ text: z.string() }), run: ({ text }) => ({ length: text.length })',
  take: "input: z.object({ value: z.unknown() }), run: () => 'taken'",
  take_nested: `input: z.object({ value: (() => { const nested = z.array(z.lazy(() => nested)); return nested; })() }), run: () => 'taken'`,
  look_for_pollution: `input: z.looseObject({ plain: z.string() }), run: (args) => ({
    plain: args.plain,
    polluted: ({}).polluted ?? null,
    inherited: args.polluted ?? null,
  })`,
};

let lastId = 1_000_000;
const request = (method: string, params?: unknown) => ({
  jsonrpc: '2.0',
  id: ++lastId,
  method,
  ...(params !== undefined && { params }),
});
const call = (name: string, args: unknown) => request('tools/call', { name, arguments: args });

describe('A message', () => {
  stage(EVERYWHERE, tools, (scene) => {
    it.each([
      ['of an unknown method', 'tools/explode', {}, -32601],
      ['of a method that is named after a property of every object', 'constructor', {}, -32601],
      ['of an unknown tool', 'tools/call', { name: 'nothing', arguments: {} }, -32602],
      [
        'of a tool that is named after a property of every object',
        'tools/call',
        { name: '__proto__' },
        -32602,
      ],
      ['with a number for a name', 'tools/call', { name: 1, arguments: {} }, -32602],
      ['with a list for arguments', 'tools/call', { name: 'take', arguments: [1] }, -32602],
      ['with text for arguments', 'tools/call', { name: 'take', arguments: 'x' }, -32602],
      ['with text for task', 'tools/call', { name: 'take', task: 'x' }, -32602],
      ['with text for a time to live', 'tools/call', { name: 'take', task: { ttl: 'x' } }, -32602],
      ['without its parameters', 'tools/call', undefined, -32602],
      ['with a number for a task', 'tasks/get', { taskId: 1 }, -32602],
      ['without its task', 'tasks/result', {}, -32602],
      ['of a task that nobody has', 'tasks/cancel', { taskId: 'nothing' }, -32602],
      ['with an object for a cursor', 'tasks/list', { cursor: {} }, -32602],
      ['with a level that does not exist', 'logging/setLevel', { level: 'loud' }, -32602],
    ])('%s is answered with the error for that', async (_, method, params, code) => {
      const { error } = await scene.during(() => scene.ask(request(method, params)));
      expect(error).toMatchObject({ code });
    });

    it('with arguments of the wrong type is answered with a result that names them', async () => {
      const { result } = await scene.during(() => scene.ask(call('measure', { text: 1 })));
      expect(result).toMatchObject({ isError: true, content: [{ text: expect.stringContaining('text') }] });
    });

    it('with keys that are special to JavaScript pollutes nothing', async () => {
      const evil =
        '{"plain":"p","__proto__":{"polluted":"yes"},"constructor":{"prototype":{"polluted":"yes"}}}';
      const message = call('look_for_pollution', {});
      const line = JSON.stringify(message).replace('"arguments":{}', `"arguments":${evil}`);
      const { result } = await scene.during(() => scene.ask(JSON.parse(line) as typeof message, line));
      expect(result).toMatchObject({
        structuredContent: { plain: 'p', polluted: null, inherited: null },
      });
      expect(({} as { polluted?: string }).polluted).toBeUndefined();
    });
  });
});

describe('A large message', () => {
  stage(EVERYWHERE, tools, (scene) => {
    it('of 20 MiB is taken', { timeout: 10_000 }, async () => {
      const text = 'x'.repeat(20 * 2 ** 20);
      // Pings wait behind it in the same pipe, and so tell nothing here.
      const { result } = await scene.ask(call('measure', { text }));
      expect(result).toMatchObject({ structuredContent: { length: text.length } });
    });
  });
});

describe('A deep message', () => {
  stage(EVERYWHERE, tools, (scene) => {
    it.each(['take', 'take_nested'])(
      'nested 10,000 deep is answered: %s',
      { timeout: 10_000 },
      async (tool) => {
        let value: unknown[] = [];
        for (let depth = 0; depth < 10_000; depth++) value = [value];
        const message = call(tool, { value: [] });
        const nested = `${'['.repeat(10_001)}${']'.repeat(10_001)}`;
        const line = JSON.stringify(message).replace('"value":[]', `"value":${nested}`);
        const asked = { ...message, params: { name: tool, arguments: { value } } };
        const { error, result } = await scene.during(() => scene.ask(asked, line));
        // With either: what a server can do with it is its own affair.
        expect(error ?? result).toEqual(expect.any(Object));
      },
    );
  });
});

/** Over stdio only: in memory there are no lines. */
describe('A line', () => {
  stage(OVER_STDIO, tools, (scene) => {
    it.each([
      ['that is no JSON', '{"jsonrpc":"2.0","id":1,'],
      ['that is empty', ''],
      ['that is a JSON value but no message', 'null'],
      ['that is a batch', '[{"jsonrpc":"2.0","id":1,"method":"ping"}]'],
      ['that is a message of another version', '{"jsonrpc":"1.0","id":1,"method":"ping"}'],
      ['that is a message without a method', '{"jsonrpc":"2.0","id":1}'],
      ['that answers what was never asked', '{"jsonrpc":"2.0","id":99,"result":{}}'],
      ['that is nested too deep to be read', '['.repeat(2 ** 16)],
      ['of bytes that are no text', '\u0000\uFFFD\u0001'],
    ])('%s does no harm to the connection', async (_, line) => {
      const { result } = await scene.during(async () => {
        void scene.child.write(`${line}\n`);
        return scene.ask(request('ping'));
      });
      expect(result).toEqual({});
    });

    it('that is a message with an id, but no request, is answered -32600', async () => {
      const { error } = await scene.ask({ jsonrpc: '1.0', id: ++lastId, method: 'ping' });
      expect(error).toMatchObject({ code: -32600 });
    });

    it('that is no JSON is answered -32700, without an id', async () => {
      const before = scene.received.length;
      void scene.child.write('{"jsonrpc":\n');
      await scene.ask(request('ping'));
      const answers = scene.received.slice(before);
      expect(answers).toContainEqual(
        expect.objectContaining({ error: expect.objectContaining({ code: -32700 }) }),
      );
    });
  });
});

describe('A large line', () => {
  stage(OVER_STDIO, tools, (scene) => {
    it.each(['x', '['])('that is no JSON does no harm to the connection: %s', async (letter) => {
      // Pings wait behind it in the same pipe, and so tell nothing here.
      void scene.child.write(`${letter.repeat(20 * 2 ** 20)}\n`);
      const { result } = await scene.ask(request('ping'));
      expect(result).toEqual({});
    });
  });
});
