import { defineConfig } from 'vitest/config'

export default defineConfig({
  // As Node resolves it, and not as a bundler.
  resolve: { alias: { '#ws': 'ws' } },
  test: {
    include: ['test/**/*.test.ts'],
    // uWebSockets.js aborts a worker thread that ends with an open socket; processes end well.
    pool: 'forks',
    // One for each core. By default one fewer, which on two cores leaves one idle whenever a test waits for something.
    maxWorkers: '100%',
    testTimeout: 30_000,
    // Modules in CommonJS are imported as Node imports them.
    deps: { interopDefault: false },
    globalSetup: ['test/setup/system.ts'],
    reporters: ['default', './test/setup/closing-line.ts'],
  },
})
