import { describe, expect, it } from 'vitest';
import { serveFixturesOnce } from './fixtures.ts';
import { Peer } from './peer.ts';

describe('A server whose own thread is busy right after the start', () => {
  it('loses none of its tool threads', async () => {
    const warnings: object[] = [];
    const warn = (fields: object) => void warnings.push(fields);
    const server = await serveFixturesOnce({ threads: 4, log: { info: () => {}, warn, error: warn } });
    // In this time the threads start, and what Node has to say to them waits.
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1000);
    const peer = await Peer.connect(server);
    await Promise.all(Array.from({ length: 8 }, () => peer.call('echo', { text: 'a' })));
    expect(warnings).toEqual([]);
  });
});
