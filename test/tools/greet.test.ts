import { expect, test } from 'vitest';
import greet from '../../tools/greet.ts';
import { recordingContext } from './context.ts';

test('greets by name', async () => {
  expect(await greet.run({ name: 'Ada' }, recordingContext().context)).toBe('Hello, Ada!');
});

test('refuses an empty name', () => {
  expect(greet.input.safeParse({ name: '' }).success).toBe(false);
});
