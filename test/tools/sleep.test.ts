import { getEventListeners } from 'node:events';
import { expect, test } from 'vitest';
import sleep from '../../tools/sleep.ts';
import { abortAtOnce, recordingContext } from './context.ts';

const timers = () => process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length;

test('sleeps for the time asked for and says how long it took', async () => {
  const { context, reports } = recordingContext();
  const { sleptSeconds } = (await sleep.run({ seconds: 0.25 }, context)) as { sleptSeconds: number };
  expect(sleptSeconds).toBeGreaterThanOrEqual(0.25);
  expect(reports.at(0)).toEqual({ done: 0, total: 0.25, message: '0.0 of 0.25 s' });
  expect(reports.at(-1)).toEqual({ done: 0.25, total: 0.25, message: '0.25 of 0.25 s' });
  expect(reports.length).toBeLessThanOrEqual(6);
});

test('does not wait at all for 0 seconds', async () => {
  const { context } = recordingContext();
  expect(await sleep.run({ seconds: 0 }, context)).toEqual({ sleptSeconds: 0 });
});

test('stops when it is cancelled, and leaves neither timer nor listener behind', async () => {
  const { context, controller } = recordingContext();
  const before = timers();
  const sleeping = sleep.run({ seconds: 3600 }, context);
  expect(timers()).toBe(before + 1);
  controller.abort(new Error('cancelled'));
  await expect(sleeping).rejects.toThrow();
  expect(timers()).toBe(before);
  expect(getEventListeners(context.signal, 'abort')).toEqual([]);
});

test('stops when it is cancelled from within its own progress report', async () => {
  const { context } = recordingContext(abortAtOnce);
  await expect(sleep.run({ seconds: 3600 }, context)).rejects.toThrow();
});

test('does not start when it is already cancelled', async () => {
  const { context, controller, reports } = recordingContext();
  controller.abort(new Error('cancelled'));
  await expect(sleep.run({ seconds: 0 }, context)).rejects.toThrow('cancelled');
  expect(reports).toEqual([]);
});

test('refuses a time that is negative, longer than an hour or no number', () => {
  for (const seconds of [-1, 3601, NaN, Infinity, '1'])
    expect(sleep.input.safeParse({ seconds }).success).toBe(false);
});
