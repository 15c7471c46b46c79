import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { connect } from '../../client/node.ts'
import { startHub } from '../../server/index.ts'
import type { ConnectionsPage } from '../../shared/sys.ts'
import { Dashboard, eventually } from '../setup/dashboard-page.ts'
import { PathProxy } from '../setup/path-proxy.ts'

/** Every page, with something on it. */
const PLACES = [
  '#/',
  '#/connections',
  '#/topics',
  '#/streams',
  '#/streams/photos',
  '#/queues',
  '#/queues/ledger',
  '#/queues/ledger/dead-letters',
  '#/tail?pattern=photos.%23',
  '#/publish',
  '#/nosuchpage',
]

describe('the dashboard for everyone', () => {
  let board: Dashboard
  let places: readonly string[]

  beforeAll(async () => {
    board = await Dashboard.open()
    const { connections } = await board.call<ConnectionsPage>('connections.list')
    const phone = connections.find(({ client }) => client === 'phone on a train')?.connection as string
    places = [...PLACES, `#/connections/${phone}`]
  })
  afterAll(() => board?.close())

  const name = (place: string) =>
    place
      .replaceAll(/[^a-z]+/g, '-')
      .replace(/^-|-$/g, '')
      .slice(0, 40) || 'overview'

  /** Goes there, and opens what can be opened. */
  async function visit(place: string): Promise<void> {
    const { page } = board
    await board.go(place)
    await page.locator('.figure, tbody tr, .letters > li, .tail > li, form.stack, .empty a').first().waitFor()
    if (place.includes('dead-letters')) await page.locator('.letters .summary').first().click()
  }

  it('has nothing that axe-core objects to on any page, light and dark', async () => {
    const found: string[] = []
    for (const [colorScheme, rule] of [
      ['light', undefined],
      // In the dark everything but the colours is the same.
      ['dark', 'color-contrast'],
    ] as const) {
      await board.page.emulateMedia({ colorScheme })
      for (const place of places) {
        await visit(place)
        found.push(...(await board.violations(rule)).map((each) => `${colorScheme} ${place} ${each}`))
      }
    }
    await board.page.emulateMedia({ colorScheme: 'light' })
    expect(found).toEqual([])
  })

  it('fits a phone and fills a wide screen, with targets that a finger meets', async () => {
    const { page } = board
    await page.setViewportSize({ width: 390, height: 844 })
    for (const place of places) {
      await visit(place)
      await board.shot(`${name(place)}-phone`)
      expect(await page.evaluate(() => document.documentElement.scrollWidth), place).toBe(390)
      const beyond = await page.evaluate(() =>
        [...document.querySelectorAll('td, dd, dt, .line')].flatMap((each) => {
          const text = document.createRange()
          text.selectNodeContents(each)
          const panel = each.closest('.panel')?.getBoundingClientRect()
          return panel && text.getBoundingClientRect().right > panel.right ? [each.textContent] : []
        }),
      )
      expect(beyond, place).toEqual([])
      const small = await page.evaluate(() =>
        [...document.querySelectorAll('main button, main td a, main th a, main select, main summary')].flatMap(
          (each) => {
            const { width, height } = each.getBoundingClientRect()
            return width > 0 && Math.min(width, height) < 23.9 ? [`${each.textContent} ${width}×${height}`] : []
          },
        ),
      )
      expect(small, place).toEqual([])
    }
    await page.setViewportSize({ width: 1920, height: 1080 })
    await visit('#/connections')
    const { width } = await page
      .locator('.panel.table')
      .first()
      .evaluate((each) => each.getBoundingClientRect())
    expect(width).toBeGreaterThan(1700)
    await board.shot('connections-wide')
    await page.setViewportSize({ width: 1280, height: 800 })
  })

  it('is dark where that is preferred, and keeps its meaning in forced colours', async () => {
    const { page } = board
    const brightness = () =>
      page.evaluate(() => Number(/\d+/.exec(getComputedStyle(document.documentElement).backgroundColor)?.[0]))
    expect(await brightness()).toBeGreaterThan(200)
    await page.emulateMedia({ colorScheme: 'dark' })
    expect(await brightness()).toBeLessThan(50)
    await visit('#/')
    await board.shot('overview-dark')
    await page.emulateMedia({ colorScheme: 'light', forcedColors: 'active' })
    await page.locator('.attention .level').first().waitFor()
    const drawn = (selector: string) =>
      page
        .locator(selector)
        .first()
        .evaluate((each) => {
          const { backgroundColor, backgroundImage, clipPath, borderRadius } = getComputedStyle(each)
          return {
            visible: backgroundColor !== 'rgb(255, 255, 255)' || backgroundImage !== 'none',
            shape: clipPath + borderRadius,
          }
        })
    const [bad, warn] = [await drawn('.attention .dot.bad'), await drawn('.attention .dot.warn')]
    expect([bad.visible, warn.visible]).toEqual([true, true])
    expect(bad.shape).not.toBe(warn.shape)
    await visit('#/queues/ledger')
    expect((await drawn('.swatch.blue')).visible).toBe(true)
    expect((await drawn('.swatch.teal')).visible).toBe(true)
    await board.shot('queue-forced-colours')
    const lines = () =>
      page.locator('.top nav a').evaluateAll((links) => {
        const { backgroundColor } = getComputedStyle(links[0]?.closest('.top') as Element)
        return links
          .filter((each) => getComputedStyle(each).borderBottomColor !== backgroundColor)
          .map((each) => each.textContent)
      })
    expect(await lines()).toEqual(['Queues'])
    await page.emulateMedia({ forcedColors: 'none' })
  })

  it('says so at an address that it does not have', async () => {
    const { page } = board
    await board.go('#/nosuchpage')
    await page.getByRole('heading', { name: 'Page not found' }).waitFor()
    expect(await page.locator('nav a[aria-current="page"]').count()).toBe(0)
    await page.getByRole('link', { name: 'Go to the overview' }).click()
    await page.getByText('Needs attention').waitFor()
  })

  it('can be used with the keyboard only', async () => {
    const { page } = board
    await page.goto(board.address)
    await page.reload()
    const press = async (key: string, times = 1) => {
      for (let n = 0; n < times; n++) await page.keyboard.press(key)
    }
    await page.getByText('Needs attention').waitFor()
    await press('Tab')
    expect(await page.evaluate(() => document.activeElement?.textContent)).toBe('Skip to content')
    const name = () => page.evaluate(() => document.activeElement?.textContent?.trim())
    const tabTo = async (wanted: string) => {
      for (let n = 0; n < 25 && (await name()) !== wanted; n++) await press('Tab')
    }
    await tabTo('Queues')
    await press('Enter')
    // The link that was pressed has the same text as the heading that gets the focus.
    const focused = () =>
      page.evaluate(() => `${document.activeElement?.tagName} ${document.activeElement?.textContent}`)
    await eventually(focused).toBe('H1 Queues')
    await page.getByLabel(/^Filter/).waitFor()
    await press('Tab')
    await page.keyboard.type('emai')
    await eventually(() => page.locator('tbody tr').count()).toBe(1)
    await tabTo('emails')
    await press('Enter')
    await eventually(focused).toBe('H1 emails')
    await board.button('Purge…').waitFor()
    // Also once what it stands above has come.
    expect(await focused()).toBe('H1 emails')
    await tabTo('Purge…')
    await press('Enter')
    await page.keyboard.type('emails')
    await press('Enter')
    await page.getByText(/purged from emails/).waitFor()
    // A label that is read out contains the visible text.
    await board.go('#/queues/ledger')
    await page.getByRole('button', { name: 'Resume acct-7' }).waitFor()
    expect(await page.locator('.parked button').textContent()).toBe('Resume')
  })

  it('gives a new hub three ways to a first message', async () => {
    const hub = await startHub({ port: 0, engine: 'ws', drainTimeout: 500 })
    const page = await board.browser.newPage()
    await page.goto(`http://127.0.0.1:${hub.port}/`)
    await page.getByRole('heading', { name: 'First steps' }).waitFor()
    expect(await page.locator('.steps pre').allTextContents()).toEqual([
      expect.stringContaining(`curl http://127.0.0.1:${hub.port}/v1/publish`),
      expect.stringContaining(`http://127.0.0.1:${hub.port}/fanfare.js`),
      expect.stringContaining(`ws://127.0.0.1:${hub.port}/`),
    ])
    await page.close()
    await hub.close()
  })

  it.each(['/', '/live'])('works below a path of a proxy, with the WebSocket endpoint at %s', async (path) => {
    const hub = await startHub({ port: 0, engine: 'ws', path, drainTimeout: 500 })
    const proxy = await PathProxy.start(hub.port)
    const publisher = connect(`ws://127.0.0.1:${hub.port}${path}`)
    const behind = await board.browser.newPage()
    const paths: string[] = []
    behind.on('request', (request) => paths.push(new URL(request.url()).pathname))
    behind.on('websocket', (socket) => paths.push(new URL(socket.url()).pathname))
    await behind.goto(`${proxy.url}#/tail?pattern=a`)
    await behind.locator('.tail-status', { hasText: 'Tailing' }).waitFor()
    await publisher.publish('a', 'through the proxy')
    await behind.getByText('through the proxy').waitFor()
    expect(await behind.locator('.state').textContent()).toContain('Connected')
    expect(paths.filter((each) => !each.startsWith('/hub/'))).toEqual([])
    await behind.close()
    await publisher.close()
    await proxy.close()
    await hub.close()
  })

  it('has sent no request to another host, and violated neither its policy nor anything else', () => {
    expect(board.complaints).toEqual([])
  })
})
