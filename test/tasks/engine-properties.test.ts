import * as fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { anEvent, Scenario } from './engine-scenario.ts';

describe('Whatever happens to an engine, and in whatever order,', () => {
  beforeEach(() => void vi.useFakeTimers({ toFake: ['Date', 'performance', 'setTimeout', 'clearTimeout'] }));
  afterEach(() => void vi.useRealTimers());

  const events = fc.array(anEvent, { maxLength: 60, size: 'max' });

  it('each task comes to one end, by legal steps, and nothing is held afterwards', async () => {
    const property = fc.asyncProperty(events, async (events) => {
      const scenario = new Scenario();
      for (const event of events) await scenario.happens(event);
      await scenario.runsOut();
      await scenario.isAtRest();
      await scenario.hasAllItsRoom();
    });
    await expect(fc.assert(property, { numRuns: 300 })).resolves.toBeUndefined();
  });

  it('it closes in the end, and everything has come to its end by then', async () => {
    const property = fc.asyncProperty(events, events, async (before, after) => {
      const scenario = new Scenario();
      for (const event of before) await scenario.happens(event);
      await scenario.closes();
      for (const event of after) await scenario.happens(event);
      vi.advanceTimersByTime(100);
      await scenario.runsOut();
      await scenario.isAtRest();
    });
    await expect(fc.assert(property, { numRuns: 100 })).resolves.toBeUndefined();
  });
});
