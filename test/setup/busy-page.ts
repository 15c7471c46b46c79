import type { Browser } from 'playwright-core'
import { type Client, connect } from '../../client/node.ts'
import type { ConnectionInfo } from '../../shared/sys.ts'
import { PageServer } from './page-server.ts'

/** A page of prices: every update keeps its main thread busy for as long as drawing it would. */
export interface BusyPage {
  readonly symbols: number
  readonly updatesPerSecond: number
  readonly handlerMs: number
  readonly seconds: number
}

export interface BusyPageResult {
  /** How old the updates were that it showed in the last quarter of the time, in milliseconds. */
  readonly medianAgeMs: number
  readonly oldestAgeMs: number
  readonly published: number
  /** In the end, when the page had heard of all. */
  readonly handled: number
  /** By the gaps that the page was told of. */
  readonly leftOut: number
  /** As the hub showed it in the middle. */
  readonly connection: ConnectionInfo
}

/** Opens the page in Chromium, publishes to it with `conflate`, and takes its measure. The hub serves the client. */
export async function busyPage(browser: Browser, port: number, scenario: BusyPage): Promise<BusyPageResult> {
  const { symbols, updatesPerSecond, handlerMs, seconds } = scenario
  const pages = await PageServer.start()
  const publisher = connect(`ws://127.0.0.1:${port}`, { name: 'prices' })
  try {
    pages.html = `<title>Prices</title><script type="module">
      import { connect } from 'http://127.0.0.1:${port}/fanfare.js'
      const client = connect('ws://127.0.0.1:${port}', { name: 'page' })
      window.seen = { ages: [], leftOut: 0, ready: false }
      const subscription = client.subscribe('prices.*', ({ data }) => {
        const now = Date.now()
        seen.ages.push([now, now - data.at])
        while (Date.now() - now < ${handlerMs});
      }, { policy: 'conflate', onGap: ({ count }) => { seen.leftOut += count } })
      subscription.ready.then(() => { seen.ready = true })
    </script>`
    const page = await browser.newPage()
    await page.goto(pages.url)
    await page.waitForFunction(() => (window as unknown as PageWindow).seen.ready)
    const publishing = publish(publisher, symbols, updatesPerSecond, seconds)
    await passed(seconds * 500)
    const connection = (await publisher.admin.connections.list()).connections.find(({ client }) => client === 'page')
    const published = await publishing
    const ended = Date.now()
    await page.waitForFunction((all) => {
      const { ages, leftOut } = (window as unknown as PageWindow).seen
      return ages.length + leftOut >= all
    }, published)
    const { ages, leftOut } = await page.evaluate(() => (window as unknown as PageWindow).seen)
    await page.close()
    const late = ages.filter(([at]) => at >= ended - seconds * 250 && at <= ended).map(([, age]) => age)
    late.sort((a, b) => a - b)
    return {
      medianAgeMs: late[Math.floor(late.length / 2)] ?? Number.POSITIVE_INFINITY,
      oldestAgeMs: late.at(-1) ?? Number.POSITIVE_INFINITY,
      published,
      handled: ages.length,
      leftOut,
      connection: connection as ConnectionInfo,
    }
  } finally {
    await publisher.close()
    await pages.close()
  }
}

interface PageWindow {
  readonly seen: { readonly ages: [number, number][]; readonly leftOut: number; readonly ready: boolean }
}

/** Symbols come in random order. Resolves to how many updates it has published. */
async function publish(client: Client, symbols: number, perSecond: number, seconds: number): Promise<number> {
  const start = performance.now()
  let published = 0
  for (let elapsed = 0; elapsed < seconds * 1000; elapsed = performance.now() - start) {
    for (; published < (elapsed / 1000) * perSecond; published++) {
      const topic = `prices.symbol-${Math.floor(Math.random() * symbols)}`
      void client.publish(topic, { at: Date.now(), price: Math.random() })
    }
    await passed(5)
  }
  return published
}

function passed(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms)
  })
}
