import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { connect } from '../../client/node.ts'
import { launchBrowser } from '../setup/browser.ts'
import { CuttableProxy } from '../setup/cuttable-proxy.ts'
import { freePort } from '../setup/free-port.ts'
import { configFile, HubProcess } from '../setup/hub-process.ts'
import { PageServer } from '../setup/page-server.ts'

const NUMBERS = 100_000
/** Where the page's connection is cut, and where the hub itself is killed and started again. */
const CUTS = [10_000, 25_000, 40_000, 70_000, 85_000]
const KILL = 55_000

let browser: Browser
let folder: string
let pages: PageServer
let hub: HubProcess
let proxy: CuttableProxy
let port: number

beforeAll(async () => {
  browser = await launchBrowser()
  pages = await PageServer.start()
  folder = await mkdtemp(join(tmpdir(), 'fanfare-count-'))
  port = await freePort()
  await start()
  proxy = await CuttableProxy.start(port)
})
afterAll(async () => {
  await browser?.close()
  await pages?.close()
  await proxy?.close()
  await hub?.kill()
  await rm(folder, { recursive: true, force: true })
})

async function start(): Promise<void> {
  const config = await configFile(join(folder, 'config.json'), [{ name: 'numbers', topics: ['numbers'] }])
  hub = await HubProcess.start({ data: join(folder, 'data'), port, config })
}

/** What the page knows: checked there, number by number. */
interface Count {
  readonly next: number
  readonly wrong: readonly unknown[]
  readonly recoveries: readonly boolean[]
}

const PAGE = (url: string) => `<script type="module">
  import { connect } from '${url.replace('ws', 'http')}/fanfare.js'
  const client = connect('${url}', { backoff: { base: 20, cap: 100 } })
  window.count = { next: 1, wrong: [], recoveries: [] }
  client.subscribe('numbers', ({ data }) => {
    if (data !== count.next && count.wrong.length < 10) count.wrong.push({ expected: count.next, got: data })
    count.next = data + 1
  }, {
    from: 'earliest',
    onGap: (gap) => count.wrong.push(gap),
    onResubscribed: ({ recovered }) => count.recoveries.push(recovered),
  })
</script>`

async function publishAll(): Promise<void> {
  const publisher = connect(hub.url, { backoff: { base: 20, cap: 100 } })
  const underWay = new Set<Promise<unknown>>()
  for (let n = 1; n <= NUMBERS; n++) {
    if (underWay.size >= 1000) await Promise.race(underWay)
    const publish: Promise<unknown> = publisher.publish('numbers', n).finally(() => underWay.delete(publish))
    underWay.add(publish)
  }
  await Promise.all(underWay)
  await publisher.close()
}

it('a page counts through five cuts and a kill, and has each number once, in order', async () => {
  pages.html = PAGE(proxy.url)
  const page = await browser.newPage()
  await page.goto(pages.url)
  await page.waitForFunction('window.count')
  const published = publishAll()
  for (const [at, number] of [...CUTS, KILL].toSorted((a, b) => a - b).entries()) {
    await page.waitForFunction(`count.next >= ${number}`)
    if (number === KILL) {
      await hub.kill()
      await start()
    } else proxy.cut()
    await page.waitForFunction(`count.recoveries.length > ${at}`)
  }
  await published
  await page.waitForFunction(`count.next > ${NUMBERS}`)
  const count = (await page.evaluate('count')) as Count
  expect(count).toEqual({ next: NUMBERS + 1, wrong: [], recoveries: Array(CUTS.length + 1).fill(true) })
  await page.close()
})
