import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { connect } from '../../client/node.ts'
import type { ConnectionsPage, HubInfo } from '../../shared/sys.ts'
import { Dashboard, eventually, whole } from '../setup/dashboard-page.ts'

describe('what the dashboard shows', () => {
  let board: Dashboard

  beforeAll(async () => {
    board = await Dashboard.open()
  })
  afterAll(() => board?.close())

  it('sums up the hub, and what needs attention: each subject once, with a level in words', async () => {
    const { page, world } = board
    await page.getByText('Needs attention').waitFor()
    const info = await board.call<HubInfo>('hub.show')
    await eventually(() => board.figure('Connections').locator('b').textContent()).toBe(String(info.connections))
    expect(await board.figure('Queues').textContent()).toMatch(/2 streams, \d+ topics/)
    const attention = page.locator('.attention')
    const of = (name: string) => attention.locator('li', { has: page.getByRole('link', { name, exact: true }) })
    await eventually(() => of('invoices').textContent()).toMatch(/Warning\s+invoices has 30 dead letters/)
    await eventually(() => of('phone on a train').textContent()).toMatch(/Problem\s+phone on a train/)
    await eventually(() => of('emails').textContent()).toMatch(
      /(Warning|Problem)\s+emails .*[\d,]+ (ready|messages are ready).*/,
    )
    await eventually(() => of('ledger').count()).toBe(1)
    expect(await of('ledger').textContent()).toMatch(/dead letter.*parked group/)
    await world.client.admin.queues.declare({ name: 'later' })
    for (let n = 0; n < 5; n++) await world.client.enqueue('later', { n }, { delay: 3_600_000 })
    const depth = async () => (await world.client.admin.queues.show('later')).depth
    await eventually(depth).toBe(5)
    await board.shot('overview-light')
    expect(await attention.textContent()).not.toContain('later')
    await world.client.admin.queues.delete('later')
    await of('invoices').getByRole('link').click()
    await page.getByRole('heading', { name: 'Dead letters' }).waitFor()
  })

  it('charts what the hub remembers, also after a reload, and of a day', async () => {
    const { page } = board
    await board.go('#/')
    await page.reload()
    const chart = page.locator('time-chart').first()
    await eventually(async () =>
      whole(((await chart.locator('b').textContent()) ?? '').replace('/s', '')),
    ).toBeGreaterThan(50)
    const from = () => chart.evaluate((each) => (each as unknown as { columns: number[][] }).columns[0]?.length)
    // This page is younger.
    expect(await from()).toBeGreaterThan(1)
    await page.getByRole('link', { name: '24 hours' }).click()
    await page.getByRole('heading', { name: 'Last 24 hours' }).waitFor()
    await page.getByRole('link', { name: '5 minutes' }).click()
    await page.getByRole('heading', { name: 'Last 5 minutes' }).waitFor()
  })

  it('counts no traffic of its own', async () => {
    const { page } = board
    await page.goto('about:blank')
    const status = () => board.call<ConnectionsPage>('connections.list')
    const own = async () => (await status()).connections.find(({ client }) => client === 'fanfare dashboard')
    await page.goto(board.address)
    await eventually(own).toBeDefined()
    await board.figure('Queues').waitFor()
    const connection = await own()
    expect(connection).toMatchObject({ deliveredTotal: 0, publishedTotal: 0, subscriptionCount: 0 })
  })

  it('says which connection is slow and why, in sentences, and finds any of them', async () => {
    const { page, world } = board
    const sleepy = connect(world.url, { name: 'sleepy reader' })
    const sleep = () => new Promise<void>((resolve) => setTimeout(resolve, 500))
    await sleepy.subscribe('frames.#', sleep, { policy: 'drop-oldest', bufferLimit: 5 }).ready
    const crowd = Array.from({ length: 60 }, (_, n) => connect(world.url, { name: `crowd-${n}` }))
    await Promise.all(crowd.map((each) => each.ready()))
    await board.go('#/connections')
    await eventually(() => board.row('phone on a train').textContent()).toMatch(
      /losing messages.*it reads frames\.# more slowly than messages are published\. The policy drop-oldest dropped [\d,]+ messages of frames\.#\./s,
    )
    await eventually(() => page.locator('.listing tbody tr').count()).toBe(50)
    await board.shot('connections-light')
    const filter = page.getByLabel(/^Filter by client/)
    await filter.fill('crowd-59')
    await eventually(() => page.locator('.listing tbody th a').allTextContents()).toEqual(['crowd-59'])
    expect(await board.row('crowd-59').textContent()).toContain('Keeping up.')
    await filter.fill('sleepy')
    await eventually(() => page.locator('.listing tbody th a').allTextContents()).toEqual(['sleepy reader'])
    await eventually(() => board.row('sleepy').textContent()).toMatch(/dropped [\d,]+ messages? of frames\.#/)
    await board.row('sleepy').getByRole('link').click()
    await eventually(() => page.locator('.verdict').textContent()).toMatch(
      /^Problem:\s+(Its outbox|The policy drop-oldest dropped)/,
    )
    await board.go('#/')
    await eventually(() => page.locator('.attention li', { hasText: 'sleepy reader' }).textContent()).toMatch(
      /^Problem/,
    )
    await board.go('#/connections?from=50')
    await page.getByText(/51 to \d+ of \d+/).waitFor()
    await board.go('#/connections')
    const next = page.getByRole('link', { name: 'Next 50' })
    await next.scrollIntoViewIfNeeded()
    expect(await page.evaluate(() => scrollY)).toBeGreaterThan(0)
    await next.click()
    await eventually(() => page.evaluate(() => scrollY)).toBe(0)
    await board.go('#/connections?from=5000&sort=nosuch')
    await page.getByRole('link', { name: 'Go to the first page' }).waitFor()
    await board.go('#/connections?from=50')
    await page.getByRole('link', { name: 'Previous 50' }).click()
    await page.getByText(/1 to 50 of \d+/).waitFor()
    await Promise.all([...crowd, sleepy].map((each) => each.close()))
  })

  it('remembers a connection that has ended', async () => {
    const { page, world } = board
    const brief = connect(world.url, { name: 'brief visitor' })
    await brief.ready()
    const { connections } = await board.call<ConnectionsPage>('connections.list')
    const id = connections.find(({ client }) => client === 'brief visitor')?.connection as string
    await board.go(`#/connections/${id}`)
    await page.getByRole('heading', { name: 'brief visitor' }).waitFor()
    await page.locator('.figure').first().waitFor()
    // Its answer is below the heading, which keeps the focus.
    expect(await page.evaluate(() => document.activeElement?.tagName)).toBe('H1')
    await board.button('Disconnect…').click()
    await brief.close()
    await board.answer('Disconnect')
    await page.getByText('brief visitor had already ended').waitFor()
    await board.go(`#/connections/${id}`)
    await eventually(() => page.locator('.verdict').textContent()).toMatch(/Ended .*last figures/s)
    await board.go('#/connections')
    await page.getByRole('heading', { name: 'Ended recently' }).waitFor()
    await board.go('#/connections/nosuch')
    await page.getByText('The hub has no open connection with this id').waitFor()
    expect(await page.locator('main').textContent()).not.toMatch(/connections\.list|no_connection/)
  })

  it('lists the topics, and finds one', async () => {
    const { page } = board
    await board.go('#/topics')
    await page.getByLabel('Filter topics').fill('prices.e')
    await eventually(() => page.locator('tbody th').allTextContents()).toEqual(['prices.eur'])
    expect(whole(await board.row('prices.eur').locator('td').nth(2).textContent())).toBeGreaterThan(0)
    await page.getByRole('link', { name: 'Tail prices.eur' }).click()
    await page.locator('.tail li').first().waitFor()
    expect(new Set(await page.locator('.tail .topic').allTextContents())).toEqual(new Set(['prices.eur']))
  })

  it('counts what a stream holds, and ends its offsets with the last one', async () => {
    const { page, world } = board
    await world.client.admin.streams.declare({ name: 'latest', topics: ['latest.#'], lastValue: true })
    for (let n = 0; n < 12; n++) await world.client.publish('latest.value', { n }, { key: `k${n % 3}` })
    await board.go('#/streams/latest')
    await eventually(() => board.figure('Messages').textContent()).toMatch(/3offsets 0 to 11/)
    await board.go('#/streams')
    await eventually(() => board.row('latest').locator('td').nth(3).textContent()).toBe('3')
    await eventually(() => board.row('photos').locator('.sparkline path').getAttribute('d')).toMatch(/M.*L/)
    await world.client.admin.streams.delete('latest')
    // A stream that many have published to.
    const many = await board.browser.newPage()
    await many.routeWebSocket(/.*/, (socket) => {
      const hub = socket.connectToServer()
      hub.onMessage((frame) =>
        socket.send(String(frame).replace(/"first":\d+,"next":\d+/g, '"first":1234567,"next":12345679')),
      )
    })
    await many.goto(`${board.address}#/streams/photos`)
    await many.getByText('offsets 1,234,567 to 12,345,678').waitFor()
    await many.getByLabel('Delete messages before offset').fill('12345678')
    await many.getByRole('button', { name: 'Trim…' }).click()
    await eventually(() => many.getByRole('dialog').textContent()).toMatch(
      /before offset 12,345,678 will be deleted.* 11,111,111 offsets of 11,111,112/,
    )
    await many.close()
    await board.go('#/streams/photos')
    await eventually(() => board.row('reports').textContent()).toMatch(/reports[\d,]+/)
    await board.go('#/streams/nosuch')
    await page.getByText('Not available').waitFor()
  })

  it('shows queues with the figures of the last second, and says since when totals count', async () => {
    const { page, world } = board
    await board.go('#/queues')
    await eventually(() => board.row('thumbnails').locator('td').nth(6).textContent()).toBe('1')
    expect(await board.row('emails').locator('td').nth(6).textContent()).toBe('0 of 1')
    await page.getByRole('link', { name: 'Dead letters', exact: true }).click()
    await eventually(() => page.locator('tbody th a').first().textContent()).toBe('invoices')
    expect(await page.locator('th[aria-sort]').textContent()).toContain('Dead letters')
    await page.getByRole('link', { name: 'Sort by severity' }).click()
    await world.client.admin.queues.declare({ name: 'burst' })
    await board.go('#/queues/burst')
    await Promise.all(Array.from({ length: 500 }, (_, n) => world.client.enqueue('burst', { n })))
    await eventually(() => board.figure('Ready').textContent()).toContain('500')
    await eventually(() => board.figure('In').textContent()).toBe('In0/s500 since the hub started')
    const values = () =>
      page
        .locator('time-chart')
        .nth(1)
        .evaluate((each) => (each as unknown as { columns: number[][] }).columns[1])
    // Rates are of the last second: a burst does not fade over ten seconds.
    await eventually(async () => (await values())?.some((each) => each > 0)).toBe(true)
    await eventually(async () => (await values())?.slice(-2)).toEqual([0, 0])
    expect((await values())?.filter((each) => each > 0).length).toBeLessThan(4)
    await world.client.admin.queues.delete('burst')
  })

  it('shows any page of a thousand queues; rows stay in place under the pointer and the focus', async () => {
    const { page, world } = board
    const names = Array.from({ length: 1000 }, (_, n) => `many-${String(n).padStart(3, '0')}`)
    await Promise.all(names.map((name) => world.client.admin.queues.declare({ name })))
    let n = 0
    const busy = setInterval(() => {
      for (let i = 0; i < 30; i++)
        world.client.enqueue(`many-${String((n++ * 7) % 1000).padStart(3, '0')}`, {}).catch(() => {})
    }, 20)
    await board.go('#/queues?filter=many-&sort=publishedPerSecond&from=50')
    await page.getByText('51 to 100 of 1,000').waitFor()
    const shown = () => page.locator('tbody th a').allTextContents()
    const moves = async () => {
      const before = await shown()
      await eventually(async () => (await shown()).join() !== before.join()).toBe(true)
    }
    await moves()
    await page.locator('tbody tr').nth(3).hover()
    const held = await shown()
    await page.waitForTimeout(1500)
    expect(await shown()).toEqual(held)
    await page.mouse.move(5, 5)
    await moves()
    await page.locator('tbody th a').nth(3).focus()
    const focused = await shown()
    await page.waitForTimeout(1500)
    expect(await shown()).toEqual(focused)
    expect(await page.evaluate(() => document.activeElement?.textContent)).toBe(focused[3])
    // The figures go on where the rows are those of the latest answer.
    await board.go('#/queues?filter=many-&sort=name')
    await page.getByText('1 to 50 of 1,000').waitFor()
    await page.locator('tbody tr').nth(3).hover()
    const figures = () => page.locator('tbody').textContent()
    const first = await figures()
    await eventually(async () => (await figures()) !== first).toBe(true)
    clearInterval(busy)
    await page.getByLabel('Filter by name or binding').fill('many-777')
    await eventually(shown).toEqual(['many-777'])
  })

  it('has sent no request to another host, and violated neither its policy nor anything else', () => {
    expect(board.complaints).toEqual([])
  })
})
