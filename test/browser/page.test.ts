import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { connect } from '../../client/node.ts'
import { launchBrowser } from '../setup/browser.ts'
import { freePort } from '../setup/free-port.ts'
import { onEveryEngine } from '../setup/hubs.ts'
import { examples } from '../setup/page.ts'

onEveryEngine('a page in Chromium', (hubs) => {
  let browser: Browser
  let folder: string
  beforeAll(async () => {
    browser = await launchBrowser()
    folder = await mkdtemp(join(tmpdir(), 'fanfare-page-'))
  })
  afterAll(async () => {
    await browser?.close()
    await rm(folder, { recursive: true, force: true })
  })

  /** Opens a page from the disk, as somebody does who has saved it. */
  async function open(html: string): Promise<Page> {
    const file = join(folder, 'page.html')
    await writeFile(file, html)
    const page = await browser.newPage()
    await page.goto(`file://${file}`)
    return page
  }

  it('does what the README says', async () => {
    const { hub, url } = await hubs.start()
    const html = examples('README.md', 'html')[0] as string
    expect(html).toContain('127.0.0.1:4747')
    const page = await open(html.replaceAll('127.0.0.1:4747', `127.0.0.1:${hub.port}`))
    const client = connect(url)
    await expect
      .poll(async () => {
        await client.publish('photos.uploaded', { name: 'a.jpg' })
        return page.locator('#photos li').allTextContents()
      })
      .toContain('a.jpg')
    await client.close()
    await page.close()
  })

  it('is cut off, and recovers with a gap', async () => {
    const port = await freePort()
    const first = await hubs.start({ port })
    const page = await open(`<script type="module">
      import { connect } from 'http://127.0.0.1:${port}/fanfare.js'
      const client = connect('ws://127.0.0.1:${port}', { backoff: { baseMs: 50, capMs: 200 } })
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
