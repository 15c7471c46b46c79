import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { launchBrowser } from '../setup/browser.ts'
import { busyPage } from '../setup/busy-page.ts'
import { onEveryEngine } from '../setup/hubs.ts'

onEveryEngine('a page whose handler keeps it busy', (hubs) => {
  let browser: Browser
  beforeAll(async () => {
    browser = await launchBrowser()
  })
  afterAll(() => browser?.close())

  it('shows what has just been published, and learns what was left out', async () => {
    const { hub } = await hubs.start()
    const scenario = { symbols: 50, updatesPerSecond: 1600, handlerMs: 5, seconds: 6 }
    const { medianAgeMs, oldestAgeMs, published, handled, leftOut, connection } = await busyPage(
      browser,
      hub.port,
      scenario,
    )
    // Without bounds it would be five seconds behind by now; a busy machine has its own delays.
    expect(medianAgeMs).toBeLessThan(2500)
    expect(oldestAgeMs).toBeLessThan(4500)
    expect(leftOut).toBeGreaterThan(published / 2)
    expect(handled + leftOut).toBe(published)
    expect(connection.lagMs).toBeGreaterThan(0)
    expect(connection.droppedTotal).toBeGreaterThan(0)
  })
})
