import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { ConnectionsPage } from '../../shared/sys.ts'
import { Dashboard, eventually } from '../setup/dashboard-page.ts'
import { QueueReader } from '../setup/queues.ts'

describe('what an operator does with the dashboard', () => {
  let board: Dashboard

  beforeAll(async () => {
    board = await Dashboard.open()
  })
  afterAll(() => board?.close())

  it('disconnects a connection when that is confirmed', async () => {
    const { page } = board
    await board.go('#/connections')
    await board.row('phone on a train').getByRole('link').click()
    const isOpen = async () =>
      (await board.call<ConnectionsPage>('connections.list')).connections.some(
        ({ client }) => client === 'phone on a train',
      )
    await board.button('Disconnect…').click()
    await board.answer('Cancel')
    expect(await isOpen()).toBe(true)
    await board.button('Disconnect…').click()
    await board.answer('Disconnect')
    await page.getByText('phone on a train was disconnected').waitFor()
    await eventually(isOpen).toBe(false)
  })

  it('trims a stream to an offset that it has, and wants its name typed if nothing would be left', async () => {
    const { page, world } = board
    const { streams } = world.client.admin
    await streams.declare({ name: 'old', topics: ['old.#'] })
    for (let n = 0; n < 10; n++) await world.client.publish('old.one', { n })
    await board.go('#/streams/old')
    await eventually(() => board.figure('Messages').textContent()).toContain('offsets 0 to 9')
    const field = page.getByLabel('Delete messages before offset')
    const trim = async (text: string) => {
      await field.fill(text)
      await field.press('Enter')
    }
    for (const [text, words] of [
      ['', 'Enter an offset'],
      ['999999', 'The maximum is offset 10'],
      ['11', 'The maximum is offset 10'],
      ['1e1', 'Enter an offset'],
      ['0', 'The stream has no messages before offset 0'],
    ] as const) {
      // On a busy machine the figures above can still arrive between the two halves of a click, and move the button away.
      await eventually(async () => {
        await field.fill(text)
        await board.button('Trim…').click()
        return page.locator('#trim-problem').textContent()
      }).toContain(words)
      expect(await board.dialog().count()).toBe(0)
    }
    // An error is shown where it happened, and does not follow the user to another page.
    expect(await page.locator('.notice.failed').count()).toBe(0)
    await trim('3')
    await board.answer('Cancel')
    expect((await streams.show('old')).first).toBe(0)
    await trim('3')
    await board.answer('Trim')
    await page.getByText('old now starts at offset 3').waitFor()
    await eventually(() => board.figure('Messages').textContent()).toContain('offsets 3 to 9')
    await trim('10')
    expect(await board.dialog().getByRole('button', { name: 'Trim' }).isDisabled()).toBe(true)
    await board.answer('Trim', 'old')
    await page.getByText('old now starts at offset 10').waitFor()
    await board.button('Delete…').click()
    await board.answer('Delete', 'old')
    await page.getByText('The stream old was deleted').waitFor()
    expect((await streams.list()).map(({ name }) => name)).toEqual(['photos', 'orders'])
  })

  it('purges a queue when its name is typed', async () => {
    const { page, world } = board
    await board.go('#/queues/emails')
    await eventually(() => board.row('orders.placed').textContent()).toContain('kind: web')
    const { depth } = await world.client.admin.queues.show('emails')
    await board.button('Purge…').click()
    await page.keyboard.press('Escape')
    await board.dialog().waitFor({ state: 'detached' })
    expect((await world.client.admin.queues.show('emails')).depth).toBeGreaterThanOrEqual(depth)
    await board.button('Purge…').click()
    await board.dialog().getByRole('textbox').fill('email')
    expect(await board.dialog().getByRole('button', { name: 'Purge' }).isDisabled()).toBe(true)
    await board.answer('Purge', 'emails')
    await page.getByText(/messages purged from emails/).waitFor()
    expect((await world.client.admin.queues.show('emails')).depth).toBeLessThan(depth)
  })

  it('resumes a parked group, and the others stay in their places under the pointer', async () => {
    const { page, world } = board
    await world.client.admin.queues.declare({ name: 'accounts', maxAttempts: 1, onDeadLetter: 'park' })
    for (const n of [1, 2, 3]) {
      for (const entry of [1, 2]) await world.client.enqueue('accounts', { entry }, { key: `account-${n}` })
    }
    const reader = new QueueReader(world.client, 'accounts', { prefetch: 1 })
    const reject = async () => (await reader.next()).reject('broken')
    for (const _ of [1, 2, 3]) await reject()
    await board.go('#/queues/accounts')
    const names = () => page.locator('.parked tbody th').allTextContents()
    await eventually(names).toEqual(['account-1', 'account-2', 'account-3'])
    await board.button('Resume account-1').click()
    await page.getByText('The group account-1 of accounts was resumed').waitFor()
    // It is still broken, and parks again: after the others, if the pointer is elsewhere.
    await reject()
    await eventually(async () => (await world.client.admin.queues.show('accounts')).parked.length).toBe(3)
    await eventually(() => board.button('Resume account-1').count()).toBe(1)
    expect(await names()).toEqual(['account-1', 'account-2', 'account-3'])
    await world.client.admin.queues.delete('accounts')
  })

  it('redrives one dead letter, some at a rate, and all that match after a confirmation with their number', async () => {
    const { page, world } = board
    const left = async () => (await world.client.admin.queues.show('invoices')).deadLetters
    await board.go('#/queues/invoices/dead-letters')
    await board.button('Redrive dead letter 0').click()
    await page.getByText('1 message redriven into invoices').waitFor()
    expect(await left()).toBe(29)
    for (const letter of [1, 2]) await page.getByLabel(`Select dead letter ${letter}`, { exact: true }).check()
    await page.getByLabel('Rate limit').fill('fast')
    await page.getByText('Enter a number greater than 0').waitFor()
    await page.getByLabel('Rate limit').fill('4')
    const started = Date.now()
    await board.button('Redrive 2 selected…').click()
    await board.answer('Redrive')
    await page.getByText('2 messages redriven').waitFor()
    expect(Date.now() - started).toBeGreaterThan(200)
    expect(await left()).toBe(27)
    await page.getByLabel('Rate limit').fill('')
    await page.getByLabel('Select dead letter 3', { exact: true }).check()
    await board.button('Purge 1 selected…').click()
    await board.answer('Cancel')
    expect(await left()).toBe(27)
    await page.getByLabel('Select all on this page').check()
    await page.getByRole('button', { name: 'Purge 25 selected…' }).waitFor()
    await board.button('Clear selection').click()
    await page.getByLabel('Key').fill('customer-1')
    const matching = (await world.client.admin.queues.deadLetters.list('invoices', { key: 'customer-1' })).length
    await eventually(() => page.locator('.letters > li').count()).toBe(matching)
    await board.button('Redrive all matching…').click()
    await eventually(() => board.dialog().textContent()).toContain(
      `${matching} dead letters (all that match the filter: key customer-1)`,
    )
    await board.answer('Cancel')
    expect(await left()).toBe(27)
    await board.button('Purge all matching…').click()
    await eventually(() => board.dialog().textContent()).toContain(
      `${matching} dead letters (all that match the filter: key customer-1)`,
    )
    await board.answer('Purge', 'invoices')
    await eventually(left).toBe(27 - matching)
    await page.getByLabel('Key').fill('')
    await page.getByRole('button', { name: 'Redrive all…', exact: true }).click()
    await eventually(() => board.dialog().textContent()).toContain(`${27 - matching} dead letters (all of this queue)`)
    // One that dies while the dialog is open is not of those that it speaks of.
    const reader = new QueueReader(world.client, 'invoices', { prefetch: 1 })
    await (await reader.next()).reject('broken')
    await reader.close()
    await eventually(left).toBe(28 - matching)
    await board.answer('Redrive')
    await page.getByText(`${27 - matching} messages redriven`).waitFor()
    expect(await left()).toBe(1)
  })

  it('shows a letter that dies again as soon as it is redriven', async () => {
    const { page, world } = board
    await world.client.admin.queues.declare({ name: 'failing', maxAttempts: 1 })
    await world.client.enqueue('failing', 'a letter')
    const reader = new QueueReader(world.client, 'failing')
    await (await reader.next()).reject('broken')
    await board.go('#/queues/failing/dead-letters')
    await page.locator('.letters > li').waitFor()
    await board.button('Redrive all…').click()
    await board.answer('Redrive')
    await (await reader.next()).reject('broken again')
    await page.getByText('broken again').waitFor()
    expect(await page.locator('.letters > li').count()).toBe(1)
    await reader.close()
    await world.client.admin.queues.delete('failing')
    await page.getByText('This queue no longer exists').waitFor()
    expect(await board.button(/^(Redrive|Purge)/).count()).toBe(0)
  })

  it('says of a queue or a stream that it is gone once it is deleted', async () => {
    const { page, world } = board
    const { queues, streams } = world.client.admin
    for (const [kind, admin, verb] of [
      ['queue', queues, 'Purge…'],
      ['stream', streams, 'Delete…'],
    ] as const) {
      await (kind === 'queue' ? queues.declare({ name: 'brief' }) : streams.declare({ name: 'brief', topics: ['b'] }))
      await board.go(`#/${kind}s/brief`)
      await board.button(verb).waitFor()
      await admin.delete('brief')
      await page.getByText(`This ${kind} no longer exists`).waitFor()
      expect(await page.locator('main :is(button, .figure)').count()).toBe(0)
    }
  })

  it('has sent no request to another host, and violated neither its policy nor anything else', () => {
    expect(board.complaints).toEqual([])
  })
})
