import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, expect, it, onTestFinished } from 'vitest'
import { connect } from '../../client/node.ts'
import { startHub } from '../../server/index.ts'
import { launchBrowser, PAGE_TIMEOUT_MS } from '../setup/browser.ts'
import { RedisServer } from '../setup/redis-server.ts'

let browser: Browser
let redis: RedisServer
beforeAll(async () => {
  browser = await launchBrowser()
  redis = await RedisServer.start()
})
afterAll(async () => {
  await browser.close()
  await redis.stop()
})

/** Its overview, on a screen that is light or dark. */
async function overviewOf(port: number, colorScheme: 'light' | 'dark' = 'light'): Promise<Page> {
  const page = await browser.newPage({ colorScheme, viewport: { width: 1280, height: 1000 } })
  page.setDefaultTimeout(PAGE_TIMEOUT_MS)
  onTestFinished(() => page.close())
  await page.goto(`http://127.0.0.1:${port}/`)
  await page.getByText('Event loop delay', { exact: true }).waitFor()
  return page
}

async function hub(options: object): Promise<number> {
  const started = await startHub({ port: 0, drainTimeout: 200, ...options })
  onTestFinished(() => started.close())
  return started.port
}

it('lists the hubs of a cluster, marks its own, and says when it is cut off', async () => {
  const [east, west] = await Promise.all(['east', 'west'].map((nodeName) => hub({ cluster: redis.url, nodeName })))
  if (!east || !west) throw new Error('no hubs')
  for (const scheme of ['light', 'dark'] as const) {
    const page = await overviewOf(west, scheme)
    const rows = page.getByRole('table', { name: 'Hubs of the cluster' }).locator('tbody tr')
    await expect.poll(() => rows.count()).toBe(2)
    const [first, second] = await rows.allInnerTexts()
    expect(first).toMatch(new RegExp(`^east\\s+127\\.0\\.0\\.1:${east}\\s`))
    expect(second).toMatch(new RegExp(`^west\\s+this hub\\s+127\\.0\\.0\\.1:${west}\\s`, 'i'))
    const pictures = process.env['PICTURES']
    if (pictures) await page.screenshot({ path: `${pictures}/nodes-${scheme}.png`, fullPage: true })
    // On a telephone a name has its line, and each figure too.
    await page.setViewportSize({ width: 390, height: 844 })
    for (const height of await rows.evaluateAll((all) => all.map((row) => row.clientHeight)))
      expect(height).toBeLessThan(60)
    if (pictures) await page.screenshot({ path: `${pictures}/nodes-${scheme}-narrow.png`, fullPage: true })
    if (scheme === 'light') continue
    await redis.stop()
    await page.getByText('This hub is cut off from the others').waitFor()
    await expect.poll(() => rows.count()).toBe(1)
    if (pictures) await page.screenshot({ path: `${pictures}/nodes-cut-off.png`, fullPage: true })
    await redis.start()
    await expect.poll(() => rows.count()).toBe(2)
  }
})

it('says on which hub a connection is', async () => {
  const [east, west] = await Promise.all(['east', 'west'].map((nodeName) => hub({ cluster: redis.url, nodeName })))
  if (!east || !west) throw new Error('no hubs')
  const client = connect(`ws://127.0.0.1:${east}`, { name: 'a page' })
  onTestFinished(async () => void (await client.close()))
  await client.ready()
  const page = await overviewOf(west)
  await page.goto(`http://127.0.0.1:${west}/#/connections`)
  await page.getByRole('link', { name: 'a page' }).click()
  await page.getByText(`east 127.0.0.1:${east}`).waitFor()
})

it('shows nothing of it on a single hub', async () => {
  const page = await overviewOf(await hub({}))
  expect(await page.getByText('Hubs of the cluster').count()).toBe(0)
})
