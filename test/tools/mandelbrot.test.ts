import { decode } from 'fast-png';
import type { ContentBlock } from '@modelcontextprotocol/sdk/types.js';
import { expect, test } from 'vitest';
import mandelbrot from '../../tools/mandelbrot.ts';
import { abortAtOnce, recordingContext } from './context.ts';

async function draw(args: object, context = recordingContext().context) {
  const [picture, caption] = (await mandelbrot.run(mandelbrot.input.parse(args), context)) as ContentBlock[];
  if (picture?.type !== 'image' || caption?.type !== 'text') throw new Error('no image and text');
  expect(picture.mimeType).toBe('image/png');
  const png = decode(Buffer.from(picture.data, 'base64'));
  const pixel = (x: number, y: number) => [
    ...png.data.slice((y * png.width + x) * 3, (y * png.width + x) * 3 + 3),
  ];
  return { png, pixel, caption: caption.text };
}

test('draws a PNG image of the size asked for, with a caption', async () => {
  const { png, caption } = await draw({ width: 64, height: 48 });
  expect([png.width, png.height, png.channels, png.depth]).toEqual([64, 48, 3, 8]);
  expect(caption).toContain('64 x 48');
});

test('paints the inside black and the outside in colours', async () => {
  // The middle, 0, is inside; so is -1; the corners are outside.
  const { pixel } = await draw({ width: 101, height: 101, centerX: 0, scale: 4 });
  expect(pixel(50, 50)).toEqual([0, 0, 0]);
  expect(pixel(25, 50)).toEqual([0, 0, 0]);
  expect(pixel(0, 0)).not.toEqual([0, 0, 0]);
  expect(pixel(50, 0)).not.toEqual([0, 0, 0]);
});

test('is the same above and below the real axis', async () => {
  const { pixel } = await draw({ width: 40, height: 30 });
  for (let x = 0; x < 40; x++) for (let y = 0; y < 15; y++) expect(pixel(x, y)).toEqual(pixel(x, 29 - y));
});

test('reports progress to the last row', async () => {
  const { context, reports } = recordingContext();
  await draw({ width: 10, height: 20 }, context);
  expect(reports.map(({ done }) => done)).toEqual([8, 16, 20]);
  expect(reports.at(-1)).toEqual({ done: 20, total: 20, message: 'row 20 of 20' });
});

test('stops in the middle of the work when it is cancelled', () => {
  const { context, reports } = recordingContext(abortAtOnce);
  const args = mandelbrot.input.parse({ width: 2048, height: 2048, maxIterations: 1000 });
  expect(() => mandelbrot.run(args, context)).toThrow('cancelled');
  expect(reports.length).toBeLessThanOrEqual(2);
});

test('stops within a row whose pixels take many iterations', () => {
  const { context, controller, reports } = recordingContext();
  controller.abort(new Error('cancelled'));
  // Near the edge of the set, where no shortcut applies; the whole picture would take minutes.
  const args = mandelbrot.input.parse({ centerX: -0.1, centerY: 0.75, scale: 0.01, maxIterations: 100_000 });
  expect(() => mandelbrot.run(args, context)).toThrow('cancelled');
  expect(reports).toEqual([]);
});

test('refuses sizes and depths out of bounds', () => {
  for (const args of [{ width: 0 }, { height: 2049 }, { scale: 0 }, { maxIterations: 1e6 }, { centerX: 5 }])
    expect(mandelbrot.input.safeParse(args).success).toBe(false);
});
