import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import axe from 'axe-core'
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { connect } from '../../client/node.ts'
import { hashApiKey, newApiKey } from '../../server/auth/api-key.ts'
import { type Hub, startHub } from '../../server/index.ts'
import { launchBrowser, PAGE_TIMEOUT_MS } from '../setup/browser.ts'
import { CuttableProxy } from '../setup/cuttable-proxy.ts'
import { PathProxy } from '../setup/path-proxy.ts'
import { QueueReader } from '../setup/queues.ts'
import { range } from '../setup/streams.ts'
import { inSeconds, keyFolder, SECRET, sign } from '../setup/tokens.ts'

const [root, guest] = [newApiKey(), newApiKey()]
const folder = keyFolder()
const auth = {
  jwt: { keys: [{ secretFile: folder.write('secret', SECRET) }], clockTolerance: 0 },
  roles: { operator: { admin: true } },
  apiKeys: [
    { name: 'root', hash: hashApiKey(root), role: 'operator' },
    { name: 'guest', hash: hashApiKey(guest), permissions: { subscribe: ['photos.#'] } },
  ],
}

const eventually = <Value>(ask: () => Value | Promise<Value>) => expect.poll(ask)

let browser: Browser
beforeAll(async () => {
  browser = await launchBrowser()
})
afterAll(() => browser?.close())

describe('access to the dashboard in Chromium', () => {
  let hub: Hub
  let proxy: PathProxy
  beforeAll(async () => {
    hub = await startHub({ port: 0, engine: 'ws', auth, queues: [{ name: 'jobs' }], drainTimeout: 500 })
    proxy = await PathProxy.start(hub.port)
  })
  afterAll(async () => {
    await proxy?.close()
    await hub?.close()
  })

  const open = async (address: string): Promise<Page> => {
    const page = await (await browser.newContext()).newPage()
    page.setDefaultTimeout(PAGE_TIMEOUT_MS)
    await page.goto(address)
    return page
  }
  const field = (page: Page) => page.getByLabel('Token or API key')
  const enter = async (page: Page, token: string) => {
    // The field has the focus: no pointer is needed.
    await field(page).waitFor()
    await page.keyboard.type(token)
    await page.keyboard.press('Enter')
  }
  const go = (page: Page, hash: string) =>
    page.evaluate((to) => {
      location.hash = to
    }, hash)

  /** What axe-core finds wrong with the page as it is now. */
  const violations = async (page: Page) => {
    await page.evaluate(axe.source)
    return page.evaluate(async () => {
      const { axe } = globalThis as unknown as { axe: typeof import('axe-core') }
      return (await axe.run()).violations.map(({ id }) => id)
    })
  }

  it('is by a log-in page, below a path of a proxy too, and ends in all tabs when one logs out', async () => {
    const page = await open(`${proxy.url}#/queues/jobs`)
    const paths: string[] = []
    const complaints: string[] = []
    page.on('request', (request) => paths.push(new URL(request.url()).pathname))
    page.on('pageerror', (error) => complaints.push(String(error)))
    page.on('console', (message) => {
      if (/Content Security Policy|Refused/.test(message.text())) complaints.push(message.text())
    })
    await enter(page, 'nonsense')
    await eventually(() => page.getByRole('alert').textContent()).toContain('The hub does not accept this token')
    expect(await field(page).getAttribute('aria-invalid')).toBe('true')
    for (const colorScheme of ['light', 'dark'] as const) {
      await page.emulateMedia({ colorScheme })
      expect(await violations(page)).toEqual([])
    }
    await enter(page, root)
    // What was asked for at first is shown.
    await page.getByRole('heading', { name: 'jobs' }).waitFor()
    await eventually(() => page.locator('.who').textContent()).toContain('You are root, role operator')
    expect(await page.evaluate(() => document.cookie)).toBe('')
    const cookies = await page.context().cookies()
    expect(cookies).toMatchObject([{ path: '/hub', httpOnly: true, sameSite: 'Strict', expires: -1 }])
    const other = await page.context().newPage()
    // A link of another site, with which a browser sends no such cookie.
    await other.goto(`data:text/html,<a href="${proxy.url}">dashboard</a>`)
    await other.getByRole('link').click()
    await eventually(() => other.locator('.who').textContent()).toContain('You are root')
    await page.getByRole('button', { name: 'Log out' }).click()
    await Promise.all([field(page).waitFor(), field(other).waitFor()])
    expect(await page.context().cookies()).toEqual([])
    expect([paths.filter((path) => !path.startsWith('/hub/')), complaints]).toEqual([[], []])
    await page.context().close()
  })

  it('says which rights a token lacks, and never that there is nothing', async () => {
    const page = await open(`http://127.0.0.1:${hub.port}/#/queues`)
    const sent: string[] = []
    page.on('websocket', (socket) => socket.on('framesent', ({ payload }) => sent.push(String(payload))))
    const asked = (method: string) => sent.join().split(`"${method}"`).length - 1
    await enter(page, guest)
    await page.getByText('No queues that you can see').waitFor()
    const banner = page.locator('.lost')
    await eventually(() => banner.textContent()).toContain('Your token does not allow you to see any queues')
    await go(page, '#/connections?from=0')
    await eventually(() => banner.textContent()).toContain('admin on $sys.connections.find')
    const main = page.locator('main')
    await eventually(() => main.textContent()).toContain('admin on $sys.connections.find')
    await go(page, '#/')
    await eventually(() => main.textContent()).toContain('admin on $sys.hub.show')
    // The hub logs whatever it forbids: that is not asked for once a second.
    const pulses = asked('hub.whoami')
    await eventually(() => asked('hub.whoami')).toBeGreaterThan(pulses + 2)
    expect(['hub.show', 'hub.attention', 'hub.history', 'connections.find'].map(asked)).toEqual([1, 1, 1, 1])
    await go(page, '#/queues/jobs/dead-letters')
    await eventually(() => main.textContent()).toContain('admin on jobs')
    await go(page, '#/tail?pattern=other')
    await eventually(() => page.locator('main [role=alert]').textContent()).toContain('subscribe on other')
    await page.context().close()
  })

  it('says that a token has expired in an open page, and leads back to the log-in page', async () => {
    const page = await open(`http://127.0.0.1:${hub.port}/#/streams`)
    await enter(page, await sign({ exp: inSeconds(10), permissions: { admin: true } }))
    await eventually(() => page.locator('.who').textContent()).toMatch(/You are ann, token expires at \d\d:\d\d/)
    const banner = page.locator('.lost')
    await eventually(() => banner.textContent()).toContain('Your token has expired')
    expect(await page.locator('.state').textContent()).toBe('Closed')
    await page.getByRole('link', { name: 'Log in again' }).click()
    await eventually(() => page.getByRole('alert').textContent()).toContain('Your token has expired')
    await enter(page, root)
    await page.getByRole('heading', { name: 'Streams' }).waitFor()
    await page.context().close()
  })
})

describe('actions in the dashboard while the hub is unreachable', () => {
  let page: Page
  let data: string
  let hub: Hub
  let proxy: CuttableProxy
  const start = (port: number) =>
    startHub({
      port,
      data,
      engine: 'ws',
      drainTimeout: 500,
      queues: [{ name: 'jobs' }, { name: 'dead', maxAttempts: 1 }],
    })
  const dialog = () => page.getByRole('dialog')
  const button = (name: string | RegExp) => page.getByRole('button', { name })

  beforeAll(async () => {
    data = await mkdtemp(join(tmpdir(), 'fanfare-access-'))
    hub = await start(0)
    proxy = await CuttableProxy.start(hub.port)
    const client = connect(`ws://127.0.0.1:${hub.port}`)
    for (const n of range(0, 5)) await Promise.all([client.enqueue('jobs', n), client.enqueue('dead', n)])
    for (const delivery of await new QueueReader(client, 'dead', { prefetch: 5 }).take(5))
      await delivery.reject('broken')
    await client.close()
    page = await browser.newPage()
    page.setDefaultTimeout(PAGE_TIMEOUT_MS)
    await page.goto(`${proxy.url.replace('ws', 'http')}/#/queues/jobs`)
  })
  afterAll(async () => {
    await page?.close()
    await proxy?.close()
    await hub?.close()
    await rm(data, { recursive: true, force: true })
  })

  it('is refused with an explanation, and does not happen once the hub is back', async () => {
    await button('Purge…').click()
    await dialog().getByRole('textbox').fill('jobs')
    const verb = dialog().getByRole('button', { name: 'Purge' })
    expect(await verb.isEnabled()).toBe(true)
    const { port } = hub
    await hub.close()
    await eventually(() => verb.isEnabled()).toBe(false)
    expect(await dialog().textContent()).toContain('The hub is unreachable')
    const banner = page.locator('.lost')
    await eventually(() => banner.textContent()).toContain('The hub does not answer')
    // The hub requires no token, and the user was not asked for one.
    expect(await banner.textContent()).not.toMatch(/getToken|fetch|handled/)
    await page.keyboard.press('Enter')
    expect(await dialog().count()).toBe(1)
    // As if it had been confirmed a moment before the page knew.
    await page.evaluate(() => document.querySelector('dialog')?.close('yes'))
    await page.getByText('The hub is unreachable. Nothing was changed').waitFor()
    expect(await button('Purge…').isEnabled()).toBe(false)
    const go = (hash: string) => page.evaluate((to) => location.assign(to), hash)
    await go('#/queues/dead')
    await eventually(() => page.locator('main').textContent()).toContain('This page loads as soon as the hub answers')
    await go('#/queues/jobs')
    hub = await start(port)
    await eventually(() => page.locator('.state').textContent()).toBe('Connected')
    await eventually(() => button('Purge…').isEnabled()).toBe(true)
    const client = connect(`ws://127.0.0.1:${port}`)
    expect((await client.admin.queues.show('jobs')).depth).toBe(5)
    await client.close()
  })

  it('is refused while the hub is silent, and does not happen once it answers', async () => {
    await button('Purge…').click()
    await dialog().getByRole('textbox').fill('jobs')
    proxy.hold()
    await dialog().getByRole('button', { name: 'Purge' }).click()
    await page.getByText('The hub does not answer. Nothing was changed').waitFor()
    await eventually(() => page.locator('.state').textContent()).toBe('No answer')
    expect(await page.locator('.lost').textContent()).toMatch(/The hub does not answer\. +The figures are from \d/)
    expect(await page.locator('main.stale').count()).toBe(1)
    expect(await button('Purge…').isEnabled()).toBe(false)
    proxy.release()
    await eventually(() => page.locator('.state').textContent()).toBe('Connected')
    const client = connect(`ws://127.0.0.1:${hub.port}`)
    // What the page has sent meanwhile came before this.
    await eventually(() => page.locator('.figure', { hasText: 'Ready' }).locator('b').first().textContent()).toBe('5')
    expect((await client.admin.queues.show('jobs')).depth).toBe(5)
    await client.close()
  })

  it('is of unknown outcome if the connection is lost while it is under way, and the page says so', async () => {
    await page.evaluate(() => {
      location.hash = '#/queues/dead/dead-letters'
    })
    await page.getByLabel(/messages per second/).fill('0.1')
    await page.locator('.letters > li').nth(4).waitFor()
    await button(/^Redrive all/).click()
    await dialog().getByRole('button', { name: 'Redrive' }).click()
    await button('Redriving…').waitFor()
    const client = connect(`ws://127.0.0.1:${hub.port}`)
    await eventually(async () => (await client.admin.queues.show('dead')).deadLetters).toBe(4)
    await client.close()
    proxy.cut()
    await page.getByText('the action may or may not have happened').waitFor()
    await eventually(() => page.locator('.state').textContent()).toBe('Connected')
  })
})
