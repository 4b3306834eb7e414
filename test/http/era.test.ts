import { isLegacyRequest } from '@modelcontextprotocol/server';
import { describe, expect, it } from 'vitest';
import { isModern } from '../../src/serve/era.ts';
import { modern } from './http-peer.ts';

const VERSION = 'io.modelcontextprotocol/protocolVersion';
const request = (params?: object, method = 'tools/list') => ({
  jsonrpc: '2.0',
  id: 1,
  method,
  ...(params && { params }),
});
const notification = (params?: object) => ({
  jsonrpc: '2.0',
  method: 'notifications/progress',
  ...(params && { params }),
});
const initialize = {
  protocolVersion: '2025-11-25',
  capabilities: {},
  clientInfo: { name: 'a', version: '1' },
};
const envelope = modern('initialize')['params']['_meta'] as object;

/** What is posted, and the MCP-Protocol-Version header beside it. */
const POSTS: [title: string, version: string | undefined, message: object][] = [
  ['an initialize request', undefined, request(initialize, 'initialize')],
  ['an initialize request with its header', '2025-11-25', request(initialize, 'initialize')],
  ['an initialize request with a later header', '2026-07-28', request(initialize, 'initialize')],
  [
    'an initialize request that claims all',
    undefined,
    request({ ...initialize, _meta: envelope }, 'initialize'),
  ],
  [
    'an initialize request that claims a part',
    undefined,
    request({ ...initialize, _meta: { [VERSION]: '2026-07-28' } }, 'initialize'),
  ],
  [
    'an initialize request that claims an old revision',
    undefined,
    request({ ...initialize, _meta: { ...envelope, [VERSION]: '2025-11-25' } }, 'initialize'),
  ],
  ['a request', '2025-11-25', request()],
  ['a request without a header', undefined, request()],
  ['a request with metadata', '2025-11-25', request({ _meta: { progressToken: 1 } })],
  ['a request with a related task', '2025-11-25', request({ _meta: { 'io.modelcontextprotocol/x': {} } })],
  ['a request with null metadata', '2025-11-25', request({ name: 'a', _meta: {} })],
  ['a request with a later header alone', '2026-07-28', request()],
  ['a request with a far later header alone', '2027-01-01', request()],
  ['a request with spaces about its header', ' 2026-07-28 ', request()],
  ['a request with a header that is no date', 'latest', request()],
  ['a request that claims', '2026-07-28', modern('tools/list')],
  ['a request that claims without a header', undefined, modern('tools/list')],
  ['a request that claims, with an old header', '2025-11-25', modern('tools/list')],
  ['a request that claims nonsense', undefined, request({ _meta: { [VERSION]: 7 } })],
  ['a request that claims null', undefined, request({ _meta: { [VERSION]: null } })],
  ['a request that claims an old revision', undefined, request({ _meta: { [VERSION]: '2025-11-25' } })],
  ['server/discover that claims', '2026-07-28', modern('server/discover')],
  ['server/discover that does not', undefined, request({}, 'server/discover')],
  ['a notification', '2025-11-25', notification()],
  ['a notification without a header', undefined, notification()],
  ['a notification with a later header', '2026-07-28', notification()],
  [
    'a notification that claims',
    undefined,
    notification({ progressToken: 1, progress: 1, _meta: { [VERSION]: '2026-07-28' } }),
  ],
  ['a notification that claims nonsense', undefined, notification({ _meta: { [VERSION]: 1 } })],
  ['a response', '2025-11-25', { jsonrpc: '2.0', id: 1, result: {} }],
  ['a response with a later header', '2026-07-28', { jsonrpc: '2.0', id: 1, result: {} }],
  ['an error', '2025-11-25', { jsonrpc: '2.0', id: 1, error: { code: 1, message: 'a' } }],
  ['an error with a later header', '2026-07-28', { jsonrpc: '2.0', id: 1, error: { code: 1, message: 'a' } }],
];

describe('The generation of what is posted', () => {
  it.each(POSTS)("is what that generation's SDK says: %s", async (_, version, message) => {
    const headers = {
      'content-type': 'application/json',
      ...(version && { 'mcp-protocol-version': version }),
    };
    const post = new Request('http://localhost/mcp', {
      method: 'POST',
      headers,
      body: JSON.stringify(message),
    });
    const isLegacy = await isLegacyRequest(post, message);
    expect(await isModern(post, message as Record<string, unknown>)).toBe(!isLegacy);
  });

  it('is told both ways by what is posted here', async () => {
    const answers = await Promise.all(
      POSTS.map(([, version, message]) =>
        isModern(
          new Request('http://localhost/mcp', {
            method: 'POST',
            headers: version === undefined ? {} : { 'mcp-protocol-version': version },
          }),
          message as Record<string, unknown>,
        ),
      ),
    );
    expect(new Set(answers).size).toBe(2);
  });
});
