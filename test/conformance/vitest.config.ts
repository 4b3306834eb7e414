import { defineConfig } from 'vitest/config';

// Apart from the other tests: it installs packages that only these need.
export default defineConfig({
  test: {
    root: new URL('.', import.meta.url).pathname,
    globalSetup: ['./install.ts', '../state-folder.ts'],
    include: ['*.test.ts'],
    // Of what is measured here much is time that a tool sleeps; files run side by side.
    maxWorkers: 2,
    testTimeout: 120_000,
    hookTimeout: 60_000,
    reporters: ['verbose'],
  },
});
