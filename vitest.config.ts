import { configDefaults, defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // What these need is installed apart; see its own configuration.
    exclude: [...configDefaults.exclude, 'test/conformance/**'],
    globalSetup: './test/state-folder.ts',
    pool: 'forks',
    // Each test file starts threads and processes of its own.
    maxWorkers: 2,
    testTimeout: 30_000,
    hookTimeout: 30_000,
    // The package under test is the one that users get: the built files, loaded by Node, from which threads and
    // child processes start.
    server: { deps: { external: [/\/dist\//] } },
    reporters:
      process.env['CI'] === undefined
        ? ['default']
        : ['default', ['json', { outputFile: 'dist/test-results.json' }]],
  },
});
