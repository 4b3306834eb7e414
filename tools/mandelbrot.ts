import { encode } from 'fast-png';
import { defineTool, image, text } from 'mcp-taskpool/tool';
import { z } from 'zod';

const ROWS_A_REPORT = 8;
/** Iterations between two looks at the signal: some 0.3 ms, whether that is many pixels or a part of a row. */
const CHECK_EVERY = 100_000;
/** What a pixel costs beside its iterations, in iterations. */
const PIXEL_COST = 32;
/** Beyond this radius the smooth colouring has no visible steps. */
const BAILOUT = 256;

export default defineTool({
  title: 'Mandelbrot set',
  description: 'Draw a part of the Mandelbrot set as a PNG image',
  input: z.object({
    width: z.int().min(1).max(2048).default(800).describe('Width of the image in pixels'),
    height: z.int().min(1).max(2048).default(600).describe('Height of the image in pixels'),
    centerX: z.number().min(-4).max(4).default(-0.65).describe('Real part of the point in the middle'),
    centerY: z.number().min(-4).max(4).default(0).describe('Imaginary part of the point in the middle'),
    scale: z
      .number()
      .min(1e-13) // Below this, neighbouring pixels are the same floating-point number.
      .max(10)
      .default(3.2)
      .describe('How much of the real axis the width shows; smaller is closer'),
    maxIterations: z
      .int()
      .min(1)
      .max(100_000)
      .default(500)
      .describe('Iterations before a point counts as inside; more for a closer look'),
  }),
  annotations: { readOnlyHint: true, idempotentHint: true, openWorldHint: false },
  task: 'optional',
  workload: 'cpu',
  idempotent: true,
  run({ width, height, centerX, centerY, scale, maxIterations }, { signal, progress }) {
    const data = new Uint8Array(width * height * 3);
    const step = scale / width;
    let unchecked = 0;
    for (let row = 0, at = 0; row < height; row++) {
      const y = centerY - (row + 0.5 - height / 2) * step;
      for (let column = 0; column < width; column++, at += 3) {
        const x = centerX + (column + 0.5 - width / 2) * step;
        const n = escapeTime(x, y, maxIterations);
        if (n < Infinity) paint(data, at, n);
        unchecked += Math.min(n, maxIterations) + PIXEL_COST;
        if (unchecked > CHECK_EVERY) {
          signal.throwIfAborted();
          unchecked = 0;
        }
      }
      if ((row + 1) % ROWS_A_REPORT === 0 || row + 1 === height)
        progress(row + 1, height, `row ${row + 1} of ${height}`);
    }
    // Encoding runs in one go; for the largest image, that is a good second in which a cancel is not seen.
    signal.throwIfAborted();
    const png = encode({ width, height, data, channels: 3, depth: 8 });
    return [
      image(png, 'image/png'),
      text(`Mandelbrot set around ${centerX} + ${centerY}i, ${scale} wide, ${width} x ${height} pixels`),
    ];
  },
});

/** Iterations until z = z² + c escapes, with a fraction for smooth colours; Infinity for a point inside. */
function escapeTime(x: number, y: number, maxIterations: number): number {
  // Most of the inside is the two largest bulbs, which need no iterating.
  const q = (x - 0.25) ** 2 + y * y;
  if (q * (q + x - 0.25) <= (y * y) / 4 || (x + 1) ** 2 + y * y <= 1 / 16) return Infinity;
  let re = 0;
  let im = 0;
  for (let n = 0; n < maxIterations; n++) {
    const re2 = re * re;
    const im2 = im * im;
    if (re2 + im2 > BAILOUT * BAILOUT) return Math.max(0, n + 1 - Math.log2(Math.log2(re2 + im2) / 2));
    im = 2 * re * im + y;
    re = re2 - im2 + x;
  }
  return Infinity;
}

/** A cosine palette that runs from deep blue over white and amber, slower the more iterations there were. */
function paint(data: Uint8Array, at: number, n: number): void {
  const t = 0.35 * Math.sqrt(n);
  for (let channel = 0; channel < 3; channel++)
    data[at + channel] = 255 * (0.5 - 0.5 * Math.cos(t + 0.45 * channel - 0.4));
}
