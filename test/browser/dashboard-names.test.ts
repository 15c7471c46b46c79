import axe from 'axe-core'
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Client, connect } from '../../client/node.ts'
import { hashApiKey, newApiKey } from '../../server/auth/api-key.ts'
import { type Hub, startHub } from '../../server/index.ts'
import { launchBrowser, PAGE_TIMEOUT_MS } from '../setup/browser.ts'
import { QueueReader } from '../setup/queues.ts'

const LONG = 'q'.repeat(64)
/** Turns the direction of everything after it, until something ends that. */
const TURNED = '\u202Eevil'

describe('names on the dashboard in Chromium', () => {
  let hub: Hub
  let browser: Browser
  let page: Page
  const clients: Client[] = []
  const client = (name: string) => {
    const made = connect(`ws://127.0.0.1:${hub.port}/`, { name })
    clients.push(made)
    return made
  }

  beforeAll(async () => {
    hub = await startHub({
      port: 0,
      engine: 'ws',
      drainTimeout: 500,
      streams: [{ name: LONG, topics: ['s.#'] }],
      queues: [
        { name: LONG, bindings: [] },
        ...['parks', 'unseen'].map((name) => ({ name, maxAttempts: 1, onDeadLetter: 'park' as const })),
      ],
    })
    browser = await launchBrowser()
    page = await browser.newPage({ viewport: { width: 390, height: 844 } })
    page.setDefaultTimeout(PAGE_TIMEOUT_MS)
    await page.goto(`http://127.0.0.1:${hub.port}/`)
  })
  afterAll(async () => {
    await browser?.close()
    await Promise.all(clients.map((each) => each.close()))
    await hub?.close()
  })

  const go = (hash: string) =>
    page.evaluate((to) => {
      location.hash = to
    }, hash)
  const idOf = async (name: string): Promise<string> => {
    const one = client(name)
    await one.ready()
    const { connections } = await one.admin.connections.list()
    return connections.find(({ client }) => client === name)?.connection as string
  }

  const violations = async (): Promise<string[]> => {
    await page.evaluate(axe.source)
    return page.evaluate(async () => {
      const { axe } = globalThis as unknown as { axe: typeof import('axe-core') }
      return (await axe.run()).violations.map(({ id }) => id)
    })
  }

  it.each(['', '  ', '\u200b\u2060'])(
    'are ids for connections whose clients have a name that cannot be seen, %j',
    async (name) => {
      const id = await idOf(name)
      await go('#/connections')
      const link = page.getByRole('link', { name: id, exact: true })
      await link.waitFor()
      expect(await violations()).toEqual([])
      await link.click()
      await page.getByRole('heading', { name: id, level: 1 }).waitFor()
    },
  )

  it('are in quotation marks for groups whose key cannot be seen, and letters may be open side by side', async () => {
    const producer = client('jobs')
    const parks = new QueueReader(client('worker'), 'unseen')
    for (const key of [' ', 'visible']) {
      // The first message is rejected, and the second makes its group wait.
      for (const n of [1, 2]) await producer.enqueue('unseen', n, { key })
      await (await parks.next()).reject('no')
    }
    await go('#/queues/unseen')
    await page.getByRole('button', { name: 'Resume " "' }).waitFor()
    expect(await violations()).toEqual([])
    await go('#/queues/unseen/dead-letters')
    const letters = page.locator('button.summary')
    await letters.nth(1).waitFor()
    for (const letter of await letters.all()) await letter.click()
    await page.locator('pre[aria-label="Error"]').nth(1).waitFor()
    expect(await violations()).toEqual([])
  })

  it('fit on a phone, however long', async () => {
    await client('cursor').subscribe('s.#', () => {}, { from: 'earliest', cursor: 'c'.repeat(64) }).ready
    const places = ['queues', `queues/${LONG}`, `queues/${LONG}/dead-letters`, 'streams', `streams/${LONG}`]
    for (const place of [...places, `connections/${await idOf('phone')}`]) {
      await go(`#/${place}`)
      await page.getByRole('heading', { level: 1 }).waitFor()
      await page.getByText('Waiting for the hub').waitFor({ state: 'detached' })
      // What a panel cuts off cannot be read either.
      const cut = await page.evaluate(() =>
        [document.documentElement, ...document.querySelectorAll('main td, main th[scope="row"], .empty, .panel')]
          .filter(({ scrollWidth, clientWidth }) => scrollWidth > clientWidth + 1)
          .map((each) => `${each.tagName} ${each.className}: ${each.textContent.slice(0, 50)}`),
      )
      expect(cut, place).toEqual([])
    }
  })

  it.each([390, 1280])('fit a page of %i pixels, if they are the name of the operator', async (width) => {
    const key = newApiKey()
    const apiKeys = [{ name: 'n'.repeat(200), hash: hashApiKey(key), permissions: { subscribe: ['#'] } }]
    const other = await startHub({ port: 0, engine: 'ws', auth: { apiKeys }, drainTimeout: 500 })
    const its = await browser.newPage({ viewport: { width, height: 844 } })
    await its.goto(`http://127.0.0.1:${other.port}/`)
    await its.getByLabel('Token or API key').fill(key)
    await its.keyboard.press('Enter')
    await its.getByText('You are').waitFor()
    expect(await its.evaluate(() => document.documentElement.scrollWidth)).toBe(width)
    await its.close()
    await other.close()
  })

  it('turn the direction of no other text', async () => {
    const id = await idOf(TURNED)
    await client('jobs').enqueue('parks', 1, { key: TURNED })
    const parks = new QueueReader(client('worker'), 'parks')
    await (await parks.next()).reject('no')
    /** Whether the text runs from left to right. */
    const isRight = (words: string) =>
      page.evaluate((words) => {
        const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT)
        while (texts.nextNode()) {
          const text = texts.currentNode as Text
          const at = text.data.indexOf(words)
          if (at < 0) continue
          const range = document.createRange()
          const left = (n: number) => {
            range.setStart(text, at + n)
            range.setEnd(text, at + n + 1)
            return range.getBoundingClientRect().left
          }
          return left(0) < left(words.length - 1)
        }
        return undefined
      }, words)
    await go(`#/connections/${id}`)
    await page.getByRole('button', { name: 'Disconnect…' }).click()
    await page.getByText('The hub closes the connection.').waitFor()
    const title = await page.getByRole('dialog').getByRole('heading').textContent()
    expect(title).toContain(`\u2068${TURNED}\u2069?`)
    await page.getByRole('dialog').getByRole('button', { name: 'Disconnect' }).click()
    await page.getByText('was disconnected.').waitFor()
    expect(await isRight('was disconnected')).toBe(true)
    await go('#/queues/parks')
    await page.getByRole('button', { name: /^Resume/ }).click()
    await page.getByText('of parks was resumed').waitFor()
    expect(await isRight('was resumed')).toBe(true)
  })
})
