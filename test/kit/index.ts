/** `fanfare/testing`: a hub in memory with a time of its own, so that a retry after 30 s is tested in milliseconds. */
import { TestHub, type TestHubOptions } from './test-hub.ts'

export type { Clock, Timer } from '../../shared/clock.ts'
export type { Cut, TestClientOptions, TestHub, TestHubOptions } from './test-hub.ts'

/**
 * Starts a hub in memory: `const hub = await testHub({ queues: [{ name: 'thumbnails' }] })`. Connect to it with
 * `hub.connect()`, move its time with `hub.advance('30s')`, and close it after the test. Any number may run at once, alongside
 * real ones and your own fake timers.
 *
 * @throws FanfareError `bad_config`
 */
export async function testHub(options: TestHubOptions = {}): Promise<TestHub> {
  const hub = new TestHub(options)
  await hub.open()
  return hub
}
