import type { Logger } from 'pino'
import { afterAll, describe } from 'vitest'
import type { Hub } from '../../server/index.ts'
import { type HubOptions, startHub } from '../../server/index.ts'
import { ENGINES, type EngineUnderTest, suiteOn } from './engines.ts'

/** Starts hubs on one engine; each is closed after the suite. */
export interface HubFactory {
  readonly engine: EngineUnderTest
  start(options?: HubOptions, log?: Logger): Promise<{ hub: Hub; url: string; http: string }>
}

/** Runs a contract suite on every engine. */
export function onEveryEngine(name: string, suite: (hubs: HubFactory) => void): void {
  describeOnEach(describe, name, suite)
}

/** Runs all tests of a suite at once, on every engine. They take `expect` and `onTestFinished` from their context. */
export function onEveryEngineAtOnce(name: string, suite: (hubs: HubFactory) => void): void {
  describeOnEach(describe.concurrent, name, suite)
}

function describeOnEach(
  describeOn: (name: string, suite: () => void) => unknown,
  name: string,
  suite: (hubs: HubFactory) => void,
): void {
  for (const engine of ENGINES) {
    describeOn(suiteOn(engine, name), () => {
      const started: Hub[] = []
      afterAll(() => Promise.all(started.map((hub) => hub.close())))
      suite({
        engine,
        async start(options = {}, log) {
          const hub = await startHub({ port: 0, engine, drainTimeout: 1000, ...options }, log)
          started.push(hub)
          return { hub, url: `ws://127.0.0.1:${hub.port}/`, http: `http://127.0.0.1:${hub.port}` }
        },
      })
    })
  }
}
