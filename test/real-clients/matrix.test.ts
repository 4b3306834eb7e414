import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ACTS, answer, done } from './acts.ts';
import { ROWS } from './clients/all.ts';
import type { Place, Session } from './clients/client.ts';
import type { Resumption } from './clients/resume.ts';
import { openPlace, TRANSPORTS } from './places.ts';

const RESUME = fileURLToPath(new URL('../../dist/test/real-clients/clients/resume.js', import.meta.url));

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

describe('Over http', () => {
  let place: Place;
  beforeAll(async () => {
    place = await openPlace('http');
  });

  it.each(ROWS.filter(({ means }) => means.includes('resume')))(
    '$name, on $generation, takes up a task in a new process by its id',
    async ({ name, client, generation }) => {
      const session = await client.connect(generation, place, answer);
      const { taskId, outcome } = await session.start!('slow_compute', { seconds: 2 });
      // This client sees no end of it.
      outcome.catch(() => {});
      const reference = session.reference!(taskId);
      await session.close();
      const resumption: Resumption = { client: name, generation, place, reference };
      const { stdout } = await promisify(execFile)(process.execPath, [RESUME, JSON.stringify(resumption)]);
      expect(JSON.parse(stdout)).toEqual(done('It took 2 s'));
    },
  );
});
