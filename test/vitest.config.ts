import { availableParallelism } from 'node:os'
import { defineConfig } from 'vitest/config'
import { SlowFirst } from './setup/slow-first.ts'

export default defineConfig({
  // As Node resolves it, and not as a bundler.
  resolve: { alias: { '#ws': 'ws' } },
  test: {
    include: ['test/**/*.test.ts'],
    // uWebSockets.js aborts a worker thread that ends with an open socket; processes end well.
    pool: 'forks',
    // Three for two cores: half of the time a test waits for something.
    maxWorkers: Math.ceil(availableParallelism() * 1.5),
    sequence: { sequencer: SlowFirst },
    // Tests wait for events, and a busy machine can take its time: the limits only end what hangs.
    testTimeout: 120_000,
    hookTimeout: 120_000,
    expect: { poll: { timeout: 30_000 } },
    // Modules in CommonJS are imported as Node imports them.
    deps: { interopDefault: false },
    globalSetup: ['test/setup/system.ts'],
    reporters: ['default', './test/setup/closing-line.ts'],
  },
})
