import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, it } from 'vitest'
import { connect } from '../../client/node.ts'
import { snippetsOf } from '../docs/snippets.ts'
import { launchBrowser, PAGE_TIMEOUT_MS } from '../setup/browser.ts'
import { CuttableProxy } from '../setup/cuttable-proxy.ts'
import { onEveryEngineAtOnce } from '../setup/hubs.ts'
import { PageServer } from '../setup/page-server.ts'
import { publishNumbers } from '../setup/streams.ts'

const NUMBERS = 10_000
const CUTS = [3_000, 6_000]

let browser: Browser
let pages: PageServer
beforeAll(async () => {
  browser = await launchBrowser()
  pages = await PageServer.start()
})
afterAll(async () => {
  await browser?.close()
  await pages?.close()
})

/** Runs in the page, with nothing but what a browser has. */
const COUNT = (hub: string) => `
  window.count = { next: 0, wrong: [], opened: 0 }
  const events = new EventSource('${hub}/v1/events?pattern=numbers&from=earliest')
  events.onopen = () => count.opened++
  events.onmessage = ({ data }) => {
    const message = JSON.parse(data)
    if (message.data !== count.next && count.wrong.length < 10) count.wrong.push([count.next, message.data])
    count.next = message.data + 1
  }
  events.addEventListener('gap', ({ data }) => count.wrong.push(data))
`

onEveryEngineAtOnce('EventSource in Chromium', (hubs) => {
  it('counts through cuts, and has each number once, in order', async ({ expect }) => {
    const { hub, url } = await hubs.start({ streams: [{ name: 'numbers', topics: ['numbers'] }] })
    const proxy = await CuttableProxy.start(hub.port)
    const page = await browser.newPage()
    await page.goto(pages.url)
    await page.evaluate(COUNT(proxy.http))
    const client = connect(url)
    const published = (async () => {
      for (let n = 0; n < NUMBERS; n += 1000) await publishNumbers(client, 'numbers', n, n + 1000)
    })()
    for (const [at, number] of CUTS.entries()) {
      await page.waitForFunction(`count.next >= ${number}`)
      proxy.cut()
      await page.waitForFunction(`count.opened > ${at + 1}`)
    }
    await published
    await page.waitForFunction(`count.next >= ${NUMBERS}`)
    expect(await page.evaluate('count')).toEqual({ next: NUMBERS, wrong: [], opened: CUTS.length + 1 })
    await client.close()
    await page.close()
    await expect.poll(() => hub.connectionCount).toBe(0)
    await proxy.close()
  })
})

/** The README's way to listen, which also keeps what it has seen. */
const listen = (address: string) => `
  window.seen = []
  window.made = []
  window.EventSource = class extends EventSource {
    constructor(address) {
      super(address)
      made.push(this)
    }
  }
  ${pageScript()
    .replace(/const address = .*/, `const address = '${address}'`)
    .replace(/const item[\s\S]*?append\(item\)/, 'window.seen.push(seen(event).data)')}
`

/** The program of the documentation. */
function pageScript(): string {
  const page = snippetsOf('docs/http-and-sse.md').find(({ language }) => language === 'html')
  return /<script[^>]*>([\s\S]*)<\/script>/.exec(page?.code ?? '')?.[1] ?? ''
}

// They mostly wait for the browser to try again.
onEveryEngineAtOnce('EventSource in Chromium, where it would give up', (hubs) => {
  it('comes back after a gateway has answered with 502 during a restart, and misses nothing', async ({ expect }) => {
    const directory = mkdtempSync(join(tmpdir(), 'fanfare-events-'))
    const options = { streams: [{ name: 'numbers', topics: ['numbers'] }], data: directory }
    const first = await hubs.start(options)
    const gateway = await CuttableProxy.start(first.hub.port)
    const page = await browser.newPage()
    await page.goto(pages.url)
    await page.evaluate(listen(`${gateway.http}/v1/events?pattern=numbers&from=earliest`))
    const early = connect(first.url)
    await publishNumbers(early, 'numbers', 0, 3)
    await early.close()
    await page.waitForFunction('seen.length === 3')
    await first.hub.close()
    await page.waitForFunction('made[0].readyState === EventSource.CLOSED', undefined, { timeout: PAGE_TIMEOUT_MS })
    const second = await hubs.start(options)
    gateway.port = second.hub.port
    const late = connect(second.url)
    await publishNumbers(late, 'numbers', 3, 6)
    await late.close()
    await page.waitForFunction('seen.length === 6', undefined, { timeout: PAGE_TIMEOUT_MS })
    expect(await page.evaluate('seen')).toEqual([0, 1, 2, 3, 4, 5])
    await page.close()
    await gateway.close()
    await second.hub.close()
    rmSync(directory, { recursive: true })
  })

  it('comes back by itself where the hub was full', async ({ expect }) => {
    const { hub, url } = await hubs.start({ maxConnections: 2 })
    const [client, other] = [connect(url), connect(url)]
    await Promise.all([client.ready(), other.ready()])
    const page = await browser.newPage()
    await page.goto(pages.url)
    await page.evaluate(`
      window.ends = []
      window.got = []
      window.events = new EventSource('http://127.0.0.1:${hub.port}/v1/events?pattern=t')
      events.addEventListener('end', ({ data }) => ends.push(JSON.parse(data).code))
      events.onmessage = ({ data }) => got.push(JSON.parse(data).data)
    `)
    await page.waitForFunction('ends.length > 0 && events.readyState === EventSource.CONNECTING')
    await other.close()
    await page.waitForFunction('events.readyState === EventSource.OPEN', undefined, { timeout: PAGE_TIMEOUT_MS })
    await client.publish('t', 1)
    await page.waitForFunction('got.length > 0')
    expect(await page.evaluate('[ends[0], got]')).toEqual(['hub_full', [1]])
    await client.close()
    await page.close()
  })
})
