import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { connect } from '../../client/node.ts'
import { launchBrowser } from '../setup/browser.ts'
import { freePort } from '../setup/free-port.ts'
import { onEveryEngine } from '../setup/hubs.ts'
import { PageServer } from '../setup/page-server.ts'

onEveryEngine('a page in Chromium', (hubs) => {
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

  /** Opens a page of a server on this machine, as a developer does. */
  async function open(html: string): Promise<Page> {
    pages.html = html
    const page = await browser.newPage()
    await page.goto(pages.url)
    return page
  }

  it('of another site gets nothing, be it a WebSocket, an answer or a change', async () => {
    const { hub, url } = await hubs.start({ queues: [{ name: 'q' }] })
    const client = connect(url)
    await client.enqueue('q', 'stays')
    // Chromium takes any name that ends so for this machine; the hub does not.
    const other = pages.url.replace('localhost', 'evil.localhost')
    pages.html = `<title>Evil</title>`
    const page = await browser.newPage()
    await page.goto(other)
    const tried = await page.evaluate(
      async ([ws, http]) => {
        const opens = (socket: WebSocket) =>
          new Promise((resolve) => {
            socket.onopen = () => resolve('open')
            socket.onerror = () => resolve('refused')
          })
        const answer = (path: string, init: RequestInit) =>
          fetch(http + path, init).then(
            () => 'answered',
            () => 'refused',
          )
        const listens = (events: EventSource) =>
          new Promise((resolve) => {
            events.onopen = () => resolve('open')
            events.onerror = () => resolve('refused')
          }).finally(() => events.close())
        return [
          // As a form would send it, which no browser asks about before.
          await answer('/v1/queues/q/purge', { method: 'POST', mode: 'no-cors' }),
          await opens(new WebSocket(ws as string)),
          await answer('/v1/queues', {}),
          await answer('/v1/queues/q', { method: 'DELETE' }),
          await answer('/v1/queues', { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{}' }),
          await listens(new EventSource(`${http}/metrics`)),
        ]
      },
      [url, `http://127.0.0.1:${hub.port}`],
    )
    expect(tried).toEqual(Array(6).fill('refused'))
    expect(await client.call('queues.show', { name: 'q' })).toMatchObject({ depth: 1 })
    await client.close()
    await page.close()
  })

  it('is cut off, and recovers with a gap', async () => {
    const port = await freePort()
    const first = await hubs.start({ port })
    const page = await open(`<script type="module">
      import { connect } from 'http://127.0.0.1:${port}/fanfare.js'
      const client = connect('ws://127.0.0.1:${port}', { backoff: { base: 50, cap: 200 } })
      window.seen = []
      client.onState(({ to, reason }) => seen.push(to + ' ' + reason.code))
      client.subscribe('n', ({ data }) => void seen.push(data), { onGap: ({ reason }) => seen.push('gap ' + reason) })
        .ready.then(() => seen.push('ready'))
    </script>`)
    const seen = () => page.evaluate(() => (window as unknown as { seen: unknown[] }).seen)
    await expect.poll(seen).toContain('ready')
    const publish = async (url: string, data: number) => {
      const client = connect(url)
      await client.publish('n', data)
      await client.close()
    }
    await publish(first.url, 1)
    await expect.poll(seen).toContain(1)
    await first.hub.close()
    await expect.poll(seen).toContain('waiting shutting_down')
    const second = await hubs.start({ port })
    await expect.poll(seen).toContain('gap disconnected')
    await publish(second.url, 2)
    await expect.poll(seen).toContain(2)
    await page.close()
  })
})
