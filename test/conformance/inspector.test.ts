import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Place } from '../real-clients/clients/client.ts';
import { openPlace, TRANSPORTS } from '../real-clients/places.ts';
import { INSPECTOR_ACTS } from './inspector-acts.ts';
import { Inspector } from './inspector.ts';

describe.each(TRANSPORTS)('Over %s', (transport) => {
  let place: Place;
  beforeAll(async () => {
    place = await openPlace(transport);
  });

  describe.each(['2025-11-25', '2026-07-28'] as const)('the Inspector, on %s,', (generation) => {
    const connections = transport === 'http' ? ['one', 'another'] : ['one'];
    const connected: unknown[] = [];
    let inspector: Inspector;
    beforeAll(async () => {
      inspector = await Inspector.start();
      for (const connection of connections) {
        connected.push(await inspector.connect(connection, place, generation));
      }
    });
    afterAll(() => inspector.stop());

    it('has negotiated the revision', () => {
      const protocolEra = generation === '2025-11-25' ? 'legacy' : 'modern';
      expect(connected).toMatchObject(connections.map(() => ({ protocolEra })));
    });

    const acts = INSPECTOR_ACTS.filter(
      (act) => (act.generation ?? generation) === generation && (act.transport ?? transport) === transport,
    );
    it.each(acts)('$title', async ({ play, outcome }) => {
      expect(await play(inspector, place, generation)).toMatchObject(outcome(generation) as object);
    });
  });
});
