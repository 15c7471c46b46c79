import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { rawJson } from '../../client/node.ts'
import { Dashboard, eventually } from '../setup/dashboard-page.ts'
import { startDashboardHub } from '../setup/dashboard-world.ts'
import { QueueReader } from '../setup/queues.ts'

const LONG_TOPIC = `odd.${Array.from({ length: 12 }, (_, n) => `a-long-word-${n}`).join('.')}`

describe('messages in the dashboard', () => {
  let board: Dashboard

  beforeAll(async () => {
    board = await Dashboard.open()
  })
  afterAll(() => board?.close())

  const tail = async (pattern: string) => {
    await board.go(`#/tail?pattern=${encodeURIComponent(pattern)}`)
    await board.page.locator('.tail-status', { hasText: 'Tailing' }).waitFor()
  }
  /** The payload of the only message that is open. */
  const payload = () => board.page.locator('pre[aria-label="Payload"]')

  it('tails a pattern, holds still to be read, and says what went wrong', async () => {
    const { page } = board
    await board.go('#/tail')
    await page.getByLabel('Topic or pattern').fill('photos.#')
    await board.button('Start').click()
    const items = page.locator('.tail > li')
    await eventually(() => items.count()).toBeGreaterThan(20)
    expect(await page.locator('.tail-status b').textContent()).toMatch(/^\d+/)
    // What the pointer is on is still there when it is clicked.
    const fourth = items.nth(3)
    await fourth.hover()
    const held = await items.allTextContents()
    await page.waitForTimeout(1500)
    expect(await items.allTextContents()).toEqual(held)
    await fourth.locator('.summary').click()
    expect(JSON.parse((await payload().textContent()) ?? '')).toHaveProperty('name')
    await eventually(() => page.locator('.tail-status').textContent()).toMatch(/Paused; [1-9]\d* newer/)
    await board.shot('tail-light')
    const before = (await items.first().textContent()) ?? ''
    await page.mouse.move(5, 5)
    await board.button('Resume').click()
    // What came meanwhile is there.
    await eventually(() => items.first().textContent()).not.toBe(before)
    expect(await items.count()).toBeGreaterThan(held.length)
    await page.getByLabel(/^Contains/).fill('IMG_9')
    await board.button('Restart').click()
    await eventually(() => page.locator('.tail-status').textContent()).toContain('matching')
    await board.button('Stop').click()
    await page.getByLabel('Topic or pattern').fill('a..b')
    await board.button('Start').click()
    await eventually(() => page.getByRole('alert').textContent()).toContain('bad_pattern')
  })

  it('shows only messages with a text, also a rare one', async () => {
    const { page, world } = board
    await board.go('#/tail?pattern=%23&text=needle')
    await page.locator('.tail-status', { hasText: 'Tailing' }).waitFor()
    await world.client.publish('orders.placed', { note: 'a Needle in it' }, { headers: { kind: 'shop' } })
    await eventually(() => page.locator('.tail > li').count()).toBe(1)
    expect(await page.locator('.tail > li').textContent()).toContain('a Needle in it')
    await eventually(() => page.locator('.tail-status').textContent()).toMatch(/\d+ received, 1 matching/)
  })

  it('shows a long topic in full, and bytes as text if they are text', async () => {
    const { page, world } = board
    await tail('odd.#')
    await world.client.publish(LONG_TOPIC, new TextEncoder().encode('line one\nläne two'))
    const items = page.locator('.tail > li')
    await eventually(() => items.count()).toBe(1)
    expect(await items.first().locator('.topic').getAttribute('title')).toBe(LONG_TOPIC)
    await items.first().locator('.summary').click()
    expect(await page.locator('.tail .facts').textContent()).toContain(LONG_TOPIC)
    expect(await payload().textContent()).toBe('line one\nläne two')
    await board.button('Resume').click()
    await world.client.publish('odd.bytes', Uint8Array.of(0xff, 0, 1))
    await eventually(() => items.first().locator('code').textContent()).toBe('ff 00 01')
  })

  it('shows JSON as its publisher sent it: every digit, key and escape', async () => {
    const { page, world } = board
    const sent = rawJson('{"id":12345678901234567890,"price":1.1000,"b":[],"a\\"b":["\\u00e9{",null,{}]}')
    const shown =
      '{\n  "id": 12345678901234567890,\n  "price": 1.1000,\n  "b": [],\n  "a\\"b": [\n    "\\u00e9{",\n    null,\n    {}\n  ]\n}'
    await tail('exact.#')
    await world.client.publish('exact.numbers', sent)
    await page.locator('.tail .summary').click()
    expect(await payload().textContent()).toBe(shown)
    await world.client.admin.queues.declare({ name: 'exact' })
    await world.client.enqueue('exact', sent)
    await (await new QueueReader(world.client, 'exact').next()).reject()
    await board.go('#/queues/exact/dead-letters')
    await page.locator('.letters .summary').click()
    expect(await payload().textContent()).toBe(shown)
    await world.client.admin.queues.delete('exact')
  })

  it('browses dead letters by page and filter, and shows one inside', async () => {
    const { page, world } = board
    await board.go('#/queues/invoices/dead-letters')
    const letters = page.locator('.letters > li')
    await eventually(() => letters.count()).toBe(25)
    await board.button('Next 25').click()
    await eventually(() => letters.count()).toBe(5)
    expect(await board.button('Next 25').isDisabled()).toBe(true)
    await board.button('Previous 25').click()
    await eventually(() => letters.count()).toBe(25)
    await page.getByLabel('Error contains').fill('timeout')
    await page.getByLabel('Key').fill('customer-1')
    const found = await world.client.admin.queues.deadLetters.list('invoices', { error: 'timeout', key: 'customer-1' })
    await eventually(() => letters.count()).toBe(found.length)
    await letters.first().locator('.summary').click()
    expect(JSON.parse((await payload().textContent()) ?? '')).toEqual(found[0]?.message.data)
    expect(await letters.first().locator('.inside').textContent()).toContain('kind: shop')
    await board.shot('dead-letters-light')
    await page.getByLabel('Topic or pattern').fill('a..b')
    await eventually(() => page.locator('main').textContent()).toContain('bad_pattern')
  })

  it('shows the first line of a stack in the list, and all of it inside, with its lines', async () => {
    const { page, world } = board
    await world.client.admin.queues.declare({ name: 'broken', maxAttempts: 1 })
    await world.client.enqueue('broken', new TextEncoder().encode('plain text'))
    const error = new Error('the printer is on fire')
    await (await new QueueReader(world.client, 'broken').next()).reject(error)
    await board.go('#/queues/broken/dead-letters')
    const letter = page.locator('.letters > li').first()
    await eventually(() => letter.locator('.error').textContent()).toBe('Error: the printer is on fire')
    expect(await letter.locator('.summary').textContent()).not.toContain('    at ')
    await letter.locator('.summary').click()
    const stack = letter.locator('pre[aria-label="Error"]')
    expect((await stack.textContent())?.split('\n').slice(0, 2)).toEqual(error.stack?.split('\n').slice(0, 2))
    expect(await stack.evaluate((each) => getComputedStyle(each).whiteSpace)).toMatch(/^pre/)
    expect(await payload().textContent()).toBe('plain text')
    await world.client.admin.queues.delete('broken')
  })

  it('publishes by hand, keeps what is in the form, and shows the receipt or the refusal', async () => {
    const { page, world } = board
    const came: unknown[] = []
    const heard = world.client.subscribe(
      'photos.by-hand',
      ({ data, key, headers }) => void came.push({ data, key, headers }),
    )
    await heard.ready
    await board.go('#/publish')
    const newest = page.locator('.outcomes li').first()
    await page.getByLabel('Topic', { exact: true }).fill('orders.*')
    await board.button('Publish').click()
    await eventually(() => newest.textContent()).toContain('and no wildcards')
    await page.getByLabel('Topic', { exact: true }).fill('photos.by-hand')
    await page.getByLabel('Payload', { exact: true }).fill('{"name":"b.jpg"}')
    await page.getByLabel(/^Key/).fill('k')
    await page.getByLabel(/^Headers/).fill('kind: jpeg\nsize: big')
    await board.go('#/queues')
    await page.getByRole('heading', { name: 'Queues' }).waitFor()
    await board.go('#/publish')
    await board.button('Publish').click()
    await eventually(() => newest.textContent()).toMatch(/photos at offset \d+/)
    expect(came).toEqual([{ data: { name: 'b.jpg' }, key: 'k', headers: { kind: 'jpeg', size: 'big' } }])
    await page.getByLabel('Payload', { exact: true }).fill('{name}')
    await board.button('Publish').click()
    await eventually(() => newest.textContent()).toContain('The payload is not valid JSON')
    await page.getByLabel('text', { exact: true }).check()
    await page.getByLabel('a queue directly').check()
    await page.getByLabel('Queue', { exact: true }).fill('nowhere')
    await board.button('Publish').click()
    await eventually(() => newest.textContent()).toContain('no_queue')
    await page.getByLabel('Queue', { exact: true }).fill('invoices')
    await board.button('Publish').click()
    await eventually(() => newest.textContent()).toContain('Queuesinvoices')
    await heard.unsubscribe()
  })

  it('reports that the hub is unreachable, and continues when it is back', async () => {
    const { page, world } = board
    await tail('photos.#')
    await eventually(() => page.locator('.tail > li').count()).toBeGreaterThan(0)
    await board.button('Clear').click()
    const { port } = world
    await world.hub.close()
    await page.getByText('No connection to the hub. Reconnecting…').first().waitFor()
    expect(await page.locator('.lost').textContent()).toMatch(/The figures are from \d\d:\d\d:\d\d|\d\d:\d\d:\d\d/)
    await eventually(() => page.locator('.tail-status').textContent()).toMatch(
      /^\s*No connection to the hub. Reconnecting…/,
    )
    expect(await page.locator('main').textContent()).not.toMatch(/getToken|Failed to fetch/)
    await board.go('#/publish')
    expect(await board.button('Publish').isDisabled()).toBe(true)
    await page.getByText('Publishing is not possible right now').waitFor()
    await board.go('#/tail?pattern=photos.%23')
    await page.getByText('Waiting for the hub').waitFor()
    world.hub = await startDashboardHub(port, board.folder)
    await eventually(() => page.locator('.state').textContent()).toContain('Connected')
    await eventually(() => page.locator('.tail > li').count()).toBeGreaterThan(0)
    await board.go('#/queues?sort=name')
    await eventually(() => page.locator('tbody th a').allTextContents()).toEqual([
      'emails',
      'invoices',
      'ledger',
      'thumbnails',
    ])
    expect(await page.locator('.lost').count()).toBe(0)
  })

  it('has sent no request to another host, and violated neither its policy nor anything else', () => {
    expect(board.complaints).toEqual([])
  })
})
