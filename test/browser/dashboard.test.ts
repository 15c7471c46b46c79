import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { connect } from '../../client/node.ts'
import { startHub } from '../../server/index.ts'
import type { ConnectionsPage, HubInfo, TopicsStatus } from '../../shared/sys.ts'
import { launchBrowser } from '../setup/browser.ts'
import { startDashboardHub, startWorld, type World } from '../setup/dashboard-world.ts'
import { PathProxy } from '../setup/path-proxy.ts'

const OUTPUT = fileURLToPath(new URL('../output', import.meta.url))
const SECTIONS = ['Overview', 'Connections', 'Topics', 'Streams', 'Queues', 'Tail', 'Publish']

/** The hub speaks once a second, and the machine may be busy. */
const eventually = <Value>(ask: () => Value | Promise<Value>) => expect.poll(ask, { timeout: 15_000 })

describe('the dashboard in Chromium', () => {
  let world: World
  let browser: Browser
  let page: Page
  let folder: string
  /** Requests to other hosts, errors of the page and of its policy. */
  const complaints: string[] = []

  async function open(): Promise<Page> {
    const opened = await browser.newPage({ viewport: { width: 1280, height: 800 } })
    opened.setDefaultTimeout(10_000)
    opened.on('console', (message) => {
      // Those of a hub that is being restarted are the browser's own words.
      if (message.type() === 'error' && !/ERR_CONNECTION|WebSocket connection/.test(message.text()))
        complaints.push(message.text())
    })
    opened.on('pageerror', (error) => complaints.push(String(error.stack)))
    opened.on('request', (request) => {
      if (new URL(request.url()).host !== `127.0.0.1:${world.port}`) complaints.push(`asked for ${request.url()}`)
    })
    await opened.goto(`http://127.0.0.1:${world.port}/`)
    return opened
  }

  const go = (hash: string) =>
    page.evaluate((to) => {
      location.hash = to
    }, hash)
  const call = <Result>(method: string, params?: object) => world.client.call(method, params) as Promise<Result>
  const row = (name: string) => page.locator('tbody tr', { hasText: name }).first()
  const figure = (label: string) => page.locator('.figure', { hasText: label }).locator('b').first()
  const button = (name: string | RegExp) => page.getByRole('button', { name })
  const dialog = () => page.getByRole('dialog')
  const whole = (text: string) => Number(text.replaceAll(',', ''))
  const shot = (name: string) => page.screenshot({ path: join(OUTPUT, `dashboard-${name}.png`) })

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'fanfare-dashboard-'))
    await mkdir(OUTPUT, { recursive: true })
    world = await startWorld(0, folder)
    browser = await launchBrowser()
    page = await open()
  }, 60_000)
  afterAll(async () => {
    await browser?.close()
    await world?.close()
    await rm(folder, { recursive: true, force: true })
  })

  it('sums up what the hub says of itself, and what needs attention', async () => {
    await page.getByText('Needs attention').waitFor()
    const info = await call<HubInfo>('hub.show')
    await eventually(() => figure('Connections').textContent()).toBe(String(info.connections))
    expect(await figure('Queues').textContent()).toBe('4')
    const attention = page.locator('.attention')
    await eventually(() => attention.textContent()).toContain('invoices has 30 dead letters')
    await eventually(() => attention.textContent()).toMatch(/phone on a train holds .* of 1 MiB .*drop-oldest left out/)
    await eventually(() => attention.textContent()).toMatch(/emails nobody consumes it; \d+ wait/)
    const published = page.locator('time-chart').first()
    await eventually(async () =>
      Number((await published.locator('b').textContent())?.replace('/s', '')),
    ).toBeGreaterThan(50)
    await shot('overview-light')
    await attention.getByRole('link', { name: 'invoices' }).click()
    await page.getByRole('heading', { name: 'Dead letters' }).waitFor()
  })

  it('says which connection is slow and why, and disconnects it when that is confirmed', async () => {
    await go('#/connections')
    const slow = row('phone on a train')
    await eventually(() => slow.textContent()).toMatch(
      /reads slower than frames\.# comes; drop-oldest left out [\d,]+ of frames\.#/,
    )
    expect(await row('photo-upload').textContent()).toContain('keeps up')
    await shot('connections-light')
    const { connections } = await call<ConnectionsPage>('connections.list')
    const phone = connections.find(({ client }) => client === 'phone on a train')
    await slow.getByRole('link').click()
    await eventually(async () => whole((await figure('Left out').textContent()) ?? '')).toBeGreaterThan(
      phone?.droppedTotal ?? 1e9,
    )
    expect(await row('frames.#').textContent()).toContain('drop-oldest')
    const isOpen = async () =>
      (await call<ConnectionsPage>('connections.list')).connections.some(({ client }) => client === 'phone on a train')
    await button('Disconnect…').click()
    await dialog().getByRole('button', { name: 'Cancel' }).click()
    expect(await isOpen()).toBe(true)
    await button('Disconnect…').click()
    await dialog().getByRole('button', { name: 'Disconnect' }).click()
    await page.getByText('phone on a train is disconnected').waitFor()
    await eventually(isOpen).toBe(false)
    await page.getByRole('link', { name: 'All, as they opened' }).click()
    await eventually(() => page.locator('tbody tr').count()).toBe((await call<HubInfo>('hub.show')).connections)
  })

  it('shows the busiest topics, and finds one', async () => {
    await go('#/topics')
    const { busiest } = await call<TopicsStatus>('topics.list')
    await eventually(() => page.locator('tbody tr').count()).toBe(busiest.length)
    await page.getByLabel('Filter topics').fill('prices.e')
    await eventually(() => page.locator('tbody th').allTextContents()).toEqual(['prices.eur'])
    const total = whole((await row('prices.eur').locator('td').nth(2).textContent()) ?? '')
    const now = (await call<TopicsStatus>('topics.list')).busiest.find(({ topic }) => topic === 'prices.eur')
    expect(total).toBeGreaterThan(0)
    expect(total).toBeLessThanOrEqual(now?.publishedTotal ?? 0)
    await page.getByRole('link', { name: 'Tail prices.eur' }).click()
    await page.locator('.tail li').first().waitFor()
    expect(new Set(await page.locator('.tail .topic').allTextContents())).toEqual(new Set(['prices.eur']))
  })

  it('shows streams and their cursors, trims and deletes one when that is confirmed', async () => {
    await go('#/streams')
    await row('orders').getByRole('link').click()
    await button('Trim…').click()
    await dialog().getByRole('button', { name: 'Cancel' }).click()
    expect((await world.client.streams.show('orders')).first).toBe(0)
    await page.getByLabel('Let go of what lies before the offset').fill('3')
    await button('Trim…').click()
    await dialog().getByRole('button', { name: 'Trim' }).click()
    await page.getByText('orders begins at offset 3 now').waitFor()
    expect((await world.client.streams.show('orders')).first).toBe(3)
    await go('#/streams/photos')
    await eventually(() => row('reports').textContent()).toMatch(/reports[\d,]+/)
    await world.client.streams.declare({ name: 'old', topics: ['old.#'] })
    await go('#/streams/old')
    await button('Delete…').click()
    const verb = dialog().getByRole('button', { name: 'Delete' })
    expect(await verb.isDisabled()).toBe(true)
    await dialog().getByRole('textbox').fill('old')
    await verb.click()
    await page.getByText('The stream old is deleted').waitFor()
    expect((await world.client.streams.list()).map(({ name }) => name)).toEqual(['photos', 'orders'])
  })

  it('shows queues, purges one when its name is typed, and lets a parked group go on', async () => {
    await go('#/queues')
    const { depth } = await world.client.queues.show('emails')
    await eventually(async () =>
      whole((await row('emails').locator('td').first().textContent()) ?? ''),
    ).toBeGreaterThanOrEqual(depth)
    expect(await row('thumbnails').locator('td').nth(6).textContent()).toMatch(/^1/)
    expect(await row('invoices').locator('td').last().textContent()).toBe('30')
    await page.getByRole('link', { name: 'Dead', exact: true }).click()
    await eventually(() => page.locator('tbody th a').first().textContent()).toBe('invoices')
    await row('emails').getByRole('link').click()
    expect(await row('orders.placed').textContent()).toContain('kind: web')
    await button('Purge…').click()
    await page.keyboard.press('Escape')
    await dialog().waitFor({ state: 'detached' })
    expect((await world.client.queues.show('emails')).depth).toBeGreaterThanOrEqual(depth)
    await button('Purge…').click()
    await dialog().getByRole('textbox').fill('email')
    expect(await dialog().getByRole('button', { name: 'Purge' }).isDisabled()).toBe(true)
    await dialog().getByRole('textbox').fill('emails')
    await dialog().getByRole('button', { name: 'Purge' }).click()
    await page.getByText(/messages purged from emails/).waitFor()
    expect((await world.client.queues.show('emails')).depth).toBeLessThan(depth)
    await go('#/queues/ledger')
    await button('Let acct-7 go on').click()
    await page.getByText('The group acct-7 goes on').waitFor()
    expect((await world.client.queues.show('ledger')).parked).toEqual([])
  })

  it('browses dead letters by page and filter, and shows one inside', async () => {
    await go('#/queues/invoices/dead-letters')
    const letters = page.locator('.letters > li')
    await eventually(() => letters.count()).toBe(25)
    await button('Next 25').click()
    await eventually(() => letters.count()).toBe(5)
    expect(await button('Next 25').isDisabled()).toBe(true)
    await button('Previous 25').click()
    await eventually(() => letters.count()).toBe(25)
    await page.getByLabel('Error has').fill('timeout')
    await page.getByLabel('Key').fill('customer-1')
    const filter = { error: 'timeout', key: 'customer-1' }
    const found = await world.client.queues.deadLetters.list('invoices', filter)
    await eventually(() => letters.count()).toBe(found.length)
    await letters.first().locator('.summary').click()
    expect(JSON.parse((await letters.first().locator('pre').textContent()) ?? '')).toEqual(found[0]?.message.data)
    expect(await letters.first().locator('.inside').textContent()).toContain('kind: shop')
    await shot('dead-letters-light')
    await page.getByLabel('Topic').fill('a..b')
    await eventually(() => page.locator('main').textContent()).toContain('bad_pattern')
  })

  it('redrives one dead letter, some at a rate, all; and purges when that is confirmed', async () => {
    const left = async () => (await world.client.queues.show('invoices')).deadLetters
    await go('#/queues')
    await go('#/queues/invoices/dead-letters')
    await button('Redrive letter 0').click()
    await page.getByText('1 message redriven into invoices').waitFor()
    expect(await left()).toBe(29)
    for (const letter of [1, 2]) await page.getByLabel(`Select letter ${letter}`, { exact: true }).check()
    await page.getByLabel('Messages a second').fill('4')
    const started = Date.now()
    await button('Redrive 2 selected').click()
    await page.getByText('2 messages redriven').waitFor()
    expect(Date.now() - started).toBeGreaterThan(200)
    expect(await left()).toBe(27)
    await page.getByLabel('Messages a second').fill('')
    await page.getByLabel('Select letter 3', { exact: true }).check()
    await button('Purge 1 selected…').click()
    await dialog().getByRole('button', { name: 'Cancel' }).click()
    expect(await left()).toBe(27)
    await button('Purge 1 selected…').click()
    await dialog().getByRole('button', { name: 'Purge' }).click()
    await page.getByText('1 dead letter of invoices purged').waitFor()
    expect(await left()).toBe(26)
    await page.getByLabel('Key').fill('customer-1')
    await button('Redrive all that meet the filter').click()
    await eventually(left).toBeLessThan(26)
    await page.getByLabel('Key').fill('')
    // With a filter the same button has a longer name.
    await page.getByRole('button', { name: 'Redrive all', exact: true }).click()
    await page.getByText('No dead letters').waitFor()
    expect(await world.client.queues.show('invoices')).toMatchObject({ deadLetters: 0, depth: 29 })
  })

  it('tails a pattern, holds still to be read, and says what went wrong', async () => {
    await go('#/tail')
    await page.getByLabel('Topic or pattern').fill('photos.#')
    await button('Start').click()
    const items = page.locator('.tail > li')
    await eventually(() => items.count()).toBeGreaterThan(20)
    expect(await page.locator('.tail-status b').textContent()).toMatch(/^\d+/)
    await items.nth(3).locator('.summary').click()
    expect(JSON.parse((await page.locator('.tail pre').textContent()) ?? '')).toHaveProperty('name')
    // Without any that came meanwhile, nothing would be missing in the list.
    await eventually(() => page.locator('.tail-status').textContent()).toMatch(/Paused; [1-9]\d* came meanwhile/)
    await shot('tail-light')
    await button('Go on').click()
    // What is missing stands in its place among the messages, which would carry it out of sight.
    await button('Pause').click()
    await eventually(() => page.locator('.missing.skipped').first().textContent()).toContain(
      'came here and are not shown',
    )
    await button('Stop').click()
    await page.getByLabel('Topic or pattern').fill('a..b')
    await button('Start').click()
    await eventually(() => page.getByRole('alert').textContent()).toContain('bad_pattern')
  })

  it('publishes by hand, and shows the receipt or the refusal', async () => {
    const came: unknown[] = []
    const heard = world.client.subscribe(
      'photos.by-hand',
      ({ data, key, headers }) => void came.push({ data, key, headers }),
    )
    await heard.ready
    await go('#/publish')
    await page.getByLabel('Topic', { exact: true }).fill('photos.by-hand')
    await page.getByLabel('Payload').last().fill('{"name":"b.jpg"}')
    await page.getByLabel(/^Key/).fill('k')
    await page.getByLabel(/^Headers/).fill('kind: jpeg\nsize: big')
    await button('Publish').click()
    const newest = page.locator('.outcomes li').first()
    await eventually(() => newest.textContent()).toMatch(/photos at offset \d+/)
    expect(came).toEqual([{ data: { name: 'b.jpg' }, key: 'k', headers: { kind: 'jpeg', size: 'big' } }])
    await page.getByLabel('Payload').last().fill('{name}')
    await button('Publish').click()
    await eventually(() => newest.textContent()).toContain('The payload is not JSON')
    await page.getByLabel('Text', { exact: true }).check()
    await page.getByLabel('Straight to a queue').check()
    await page.getByLabel('Queue', { exact: true }).fill('nowhere')
    await button('Publish').click()
    await eventually(() => newest.textContent()).toContain('no_queue')
    await page.getByLabel('Queue', { exact: true }).fill('invoices')
    await button('Publish').click()
    await eventually(() => newest.textContent()).toContain('Queuesinvoices')
    await heard.unsubscribe()
  })

  it('works by keyboard alone', async () => {
    await page.goto(`http://127.0.0.1:${world.port}/`)
    await page.reload()
    const press = async (key: string, times = 1) => {
      for (let n = 0; n < times; n++) await page.keyboard.press(key)
    }
    await page.getByText('Needs attention').waitFor()
    await press('Tab')
    expect(await page.evaluate(() => document.activeElement?.textContent)).toBe('To the content')
    // The brand, then the sections.
    await press('Tab', 2 + SECTIONS.indexOf('Queues'))
    await press('Enter')
    // The link that was pressed has the same text as the heading that gets the focus.
    const focused = () =>
      page.evaluate(() => `${document.activeElement?.tagName} ${document.activeElement?.textContent}`)
    await eventually(focused).toBe('H1 Queues')
    await press('Tab')
    await page.keyboard.type('emai')
    await eventually(() => page.locator('tbody tr').count()).toBe(1)
    const name = () => page.evaluate(() => document.activeElement?.textContent)
    for (let n = 0; n < 12 && (await name()) !== 'emails'; n++) await press('Tab')
    await press('Enter')
    await eventually(focused).toBe('H1 emails')
    await press('Tab', 2)
    expect(await name()).toBe('Purge…')
    await press('Enter')
    await page.keyboard.type('emails')
    await press('Enter')
    await page.getByText(/purged from emails/).waitFor()
  })

  it('fits a phone, and is dark where that is preferred', async () => {
    const places = ['#/', '#/connections', '#/topics', '#/streams/photos', '#/queues', '#/queues/emails']
    const name = (place: string) => place.replaceAll(/[^a-z]+/g, '-').replace(/^-|-$/g, '') || 'overview'
    const shown = () => page.locator('.figure, tbody tr, .letters > li, .tail > li, form.stack').first().waitFor()
    await page.setViewportSize({ width: 390, height: 844 })
    for (const place of [...places, '#/queues/ledger/dead-letters', '#/tail?pattern=%23', '#/publish']) {
      await go(place)
      await shown()
      await shot(`${name(place)}-phone`)
      expect(await page.evaluate(() => document.documentElement.scrollWidth), place).toBe(390)
    }
    await page.setViewportSize({ width: 1280, height: 800 })
    const brightness = () =>
      page.evaluate(() => Number(/\d+/.exec(getComputedStyle(document.documentElement).backgroundColor)?.[0]))
    expect(await brightness()).toBeGreaterThan(200)
    await page.emulateMedia({ colorScheme: 'dark' })
    expect(await brightness()).toBeLessThan(50)
    for (const place of ['#/', '#/queues', '#/queues/emails']) {
      await go(place)
      await shown()
      await shot(`${name(place)}-dark`)
    }
    await page.emulateMedia({ colorScheme: 'light' })
  })

  it('says that the hub is gone, and goes on when it is back', async () => {
    await go('#/tail?pattern=photos.%23')
    await eventually(() => page.locator('.tail > li').count()).toBeGreaterThan(0)
    const { port } = world
    await world.hub.close()
    await page.getByText('No connection to the hub; trying again').waitFor()
    expect(await page.locator('.lost').textContent()).toMatch(/The figures are of \d\d:\d\d:\d\d/)
    world.hub = await startDashboardHub(port, folder)
    await eventually(() => page.locator('.state').textContent()).toBe('Connected')
    await eventually(() => page.locator('.missing.gap').textContent()).toContain('disconnected')
    await go('#/queues')
    await eventually(() => page.locator('tbody th a').allTextContents()).toEqual([
      'emails',
      'invoices',
      'ledger',
      'thumbnails',
    ])
    expect(await page.locator('.lost').count()).toBe(0)
  })

  it.each(['/', '/live'])('works below a path of a proxy, with the WebSocket endpoint at %s', async (path) => {
    const hub = await startHub({ port: 0, engine: 'ws', path, drainTimeoutMs: 500 })
    const proxy = await PathProxy.start(hub.port)
    const publisher = connect(`ws://127.0.0.1:${hub.port}${path}`)
    const behind = await browser.newPage()
    const paths: string[] = []
    behind.on('request', (request) => paths.push(new URL(request.url()).pathname))
    behind.on('websocket', (socket) => paths.push(new URL(socket.url()).pathname))
    await behind.goto(`${proxy.url}#/tail?pattern=a`)
    await behind.locator('.tail-status', { hasText: 'Tailing' }).waitFor()
    await publisher.publish('a', 'through the proxy')
    await behind.getByText('through the proxy').waitFor()
    expect(await behind.locator('.state').textContent()).toBe('Connected')
    expect(paths.filter((each) => !each.startsWith('/hub/'))).toEqual([])
    await behind.close()
    await publisher.close()
    await proxy.close()
    await hub.close()
  })

  it('has asked no other host for anything, and broken neither its policy nor anything else', () => {
    expect(complaints).toEqual([])
  })
})
