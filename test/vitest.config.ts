import { availableParallelism } from 'node:os'
import { defineConfig, type TestProjectInlineConfiguration } from 'vitest/config'
import { SlowFirst } from './setup/slow-first.ts'

/**
 * Files that need a process of their own: they measure it (heap, CPU time, timers, handles), change it (fake timers, globals,
 * listeners of `process`), or their setup keeps something until their end (key files, certificates, a Redis server).
 * All other files share a process per worker: importing the hub again costs a second of CPU time per file.
 */
const OWN_PROCESS = [
  'test/{docs,driver,fuzz}/**/*.test.ts',
  'test/cli/tls.test.ts',
  'test/faults/{churn,cluster-redis,directory,links}.test.ts',
  'test/client/{handlers,liveness,platforms,session,waiting}.test.ts',
  'test/contract/{broker-streams,calls,client,embedding,handler-errors,http-memory,many-names,shutdown,unexpected-errors}.test.ts',
  'test/contract/{authentication,bus,bus-redis,draining,login,nodes,redis-connection,request-lines,tls,token-renewal}.test.ts',
  'test/checks.test.ts',
  'test/kit/{hub,long-waits}.test.ts',
  'test/queue/{growing,wanted}.test.ts',
]

export default defineConfig({
  test: {
    // More than the cores: half of the time a test waits for something. With three for two cores a quarter of their time was unused.
    maxWorkers: availableParallelism() * 2,
    sequence: { sequencer: SlowFirst },
    globalSetup: ['test/setup/system.ts', 'test/setup/hub-bundle.ts'],
    reporters: ['default', './test/setup/closing-line.ts'],
    projects: [
      project('own process', OWN_PROCESS, [], true),
      project('shared process', ['test/**/*.test.ts'], OWN_PROCESS, false),
    ],
  },
})

/** What is set here, and not above, is a project's own. Above, flags of the command line can replace it. */
function project(name: string, include: string[], exclude: string[], isolate: boolean): TestProjectInlineConfiguration {
  return {
    // As Node resolves it, and not as a bundler.
    resolve: { alias: { '#ws': 'ws' } },
    test: {
      name,
      include,
      exclude,
      isolate,
      // uWebSockets.js aborts a worker thread that ends with an open socket; processes end well.
      pool: 'forks',
      // Tests wait for events, and a busy machine can take its time: the limits only end what hangs.
      testTimeout: 120_000,
      hookTimeout: 120_000,
      expect: { poll: { timeout: 30_000 } },
      // Modules in CommonJS are imported as Node imports them.
      deps: { interopDefault: false },
    },
  }
}
