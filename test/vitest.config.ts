import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // uWebSockets.js aborts a worker thread that ends with an open socket; processes end well.
    pool: 'forks',
    testTimeout: 30_000,
    // Modules in CommonJS are imported as Node imports them.
    deps: { interopDefault: false },
    globalSetup: ['test/setup/system.ts'],
    reporters: ['default', './test/setup/closing-line.ts'],
  },
})
