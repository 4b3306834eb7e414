import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ACTS, answer } from './acts.ts';
import type { Place, Session } from './clients/client.ts';
import { openPlace, TRANSPORTS } from './places.ts';
import { ROWS } from './rows.ts';

describe.each(TRANSPORTS)('Over %s', (transport) => {
  let place: Place;
  beforeAll(async () => {
    place = await openPlace(transport);
  });

  describe.each(ROWS)('$name, on $generation,', ({ client, generation, means }) => {
    let session: Session;
    beforeAll(async () => {
      session = await client.connect(generation, place, answer);
    });
    afterAll(() => session.close());

    it.each(ACTS.filter(({ needs }) => means.includes(needs)))('$title', async ({ play, outcome }) => {
      expect(await play(session)).toEqual(outcome(generation));
    });
  });
});
