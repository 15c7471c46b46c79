import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import { connect } from '../../client/node.ts'
import type { StreamInfo } from '../../shared/streams.ts'
import { fanfare, hubHere, type RunningCommand, serve } from '../setup/command.ts'

interface Line {
  readonly data: unknown
  readonly offsets: Record<string, number>
}

let env: { FANFARE_URL: string }
beforeEach(async () => {
  env = { FANFARE_URL: (await hubHere()).url }
})

/** Runs a command to its end, which has to be good. */
async function run(...args: string[]): Promise<RunningCommand> {
  const command = fanfare(args, env)
  expect(await command.exit, command.stderr).toBe(0)
  return command
}

async function publish(from: number, to: number): Promise<void> {
  const client = connect(env.FANFARE_URL)
  for (let n = from; n < to; n++) await client.publish('orders.new', n)
  await client.close()
}

async function declare(): Promise<void> {
  const client = connect(env.FANFARE_URL)
  await client.admin.streams.declare({ name: 'orders', topics: ['orders.#'] })
  await client.close()
}

const data = ({ lines }: RunningCommand) => (lines as Line[]).map((line) => line.data)

describe('fanfare streams', () => {
  it('updates the options that are given, and says what has changed', async () => {
    await run('streams', 'declare', 'orders', 'orders.#', '--max-age', '2w')
    await publish(0, 5)
    const updated = await run('streams', 'update', 'orders', 'orders.*', '--max-messages', '3')
    expect(updated.stdout).toBe(
      'Updated stream "orders": topics ["orders.#"] → ["orders.*"], max messages no limit → 3.\n',
    )
    const [info] = (await run('streams', 'update', 'orders', '--max-age', '1d', '--json')).lines as StreamInfo[]
    expect(info).toMatchObject({ topics: ['orders.*'], maxAgeMs: 86_400_000, maxMessages: 3 })
    const refused = fanfare(['streams', 'update', 'orders', '--last-value'], env)
    expect(await refused.exit).toBe(1)
    expect(refused.stderr).toContain('bad_params: maxMessages cannot be combined with lastValue')
  })

  it('declares, lists, shows, trims and deletes, for people and for programs', async () => {
    const declared = await run('streams', 'declare', 'orders', 'orders.#', '--max-age', '2w', '--max-messages', '500')
    expect(declared.stdout).toMatch(/^retention +2w, 10 GiB, 500 messages$/m)
    await publish(0, 5)
    await run('sub', 'orders.#', '--from', 'earliest', '--cursor', 'reports', '--count', '2')

    const table = (await run('streams')).stdout.split('\n')
    expect(table[0]).toMatch(/^name +topics +messages +offsets +size +oldest +newest +retention +durability +cursors$/)
    expect(table[1]).toMatch(/^orders +orders\.# +5 +0 to 4 +1\.\d KiB +\S+.* ago +\S+.* ago +2w +disk +1$/)
    const shown = (await run('streams', 'show', 'orders')).stdout
    expect(shown).toMatch(/^offsets +0 to 4$/m)
    expect(shown).toMatch(/^newest +\d{4}-\d\d-\d\dT.*Z, .* ago$/m)
    expect(shown).toMatch(/^cursor +reports at 2, 3 behind$/m)

    const [listed] = (await run('streams', 'list', '--json')).lines as StreamInfo[]
    expect(listed).toMatchObject({ name: 'orders', maxAgeMs: 14 * 86_400_000, first: 0, next: 5 })
    expect(listed?.cursors).toEqual({ reports: { epoch: listed?.epoch, offset: 2 } })
    expect((await run('streams', 'trim', 'orders', '--before', '3', '--json', '--yes')).lines).toMatchObject([
      { first: 3, next: 5 },
    ])
    expect((await run('streams', 'trim', 'orders', '--all', '--yes')).stdout).toMatch(/^offsets +none, next 5$/m)
    expect((await run('streams', 'delete', 'orders', '--yes')).stdout).toBe(
      'Deleted stream "orders" with 0 messages and 1 cursor.\n',
    )
    expect((await run('streams', '--json')).stdout).toBe('')
  })

  it.each([
    [['show', 'nothing'], 'no_stream: There is no stream "nothing"'],
    [['delete', 'nothing', '--yes'], 'no_stream: '],
    [['declare', 'orders', 'orders.*'], 'stream_exists: Stream "orders" already exists'],
    [['declare', 'others', 'a', '--max-age', 'long'], 'bad_params: maxAge must be '],
    [['declare', 'others', 'a..b'], 'bad_params: topics.0: '],
  ])('%j is refused with %s', async (args, words) => {
    await declare()
    const command = fanfare(['streams', ...args], env)
    expect(await command.exit).toBe(1)
    expect(command.stderr).toContain(`fanfare: ${words}`)
    expect(command.stdout).toBe('')
  })
})

describe('fanfare sub on a stream', () => {
  beforeEach(declare)

  it('starts where --from says', async () => {
    await publish(0, 3)
    const before = (await run('sub', 'orders.new', '--from', 'earliest', '--count', '3')).lines as Line[]
    expect(before.map(({ offsets }) => offsets)).toEqual([{ orders: 0 }, { orders: 1 }, { orders: 2 }])
    const [{ epoch }] = (await run('streams', '--json')).lines as [StreamInfo]
    const later = new Date()
    await publish(3, 5)
    const from = async (start: string, count: number, ...more: string[]) =>
      data(await run('sub', 'orders.#', '--from', start, '--count', String(count), ...more))
    expect(await from('2', 3)).toEqual([2, 3, 4])
    expect(await from(`${epoch}:1`, 2)).toEqual([1, 2])
    expect(await from('last:2', 2)).toEqual([3, 4])
    expect(await from(later.toISOString(), 2, '--stream', 'orders')).toEqual([3, 4])
  })

  it('a position of another epoch gets a gap first', async () => {
    await publish(0, 2)
    const [gap, ...rest] = (await run('sub', 'orders.#', '--from', 'other123:1', '--count', '2')).lines
    expect(gap).toEqual({ gap: { reason: 'epoch' } })
    expect((rest as Line[]).map((line) => line.data)).toEqual([0, 1])
  })

  it('without --from it prints what comes, without repeats', async () => {
    await publish(0, 2)
    const reader = fanfare(['sub', 'orders.#', '--from', 'latest', '--count', '2'], env)
    await reader.said('stderr', /Subscribed/)
    await publish(2, 4)
    expect(await reader.exit).toBe(0)
    expect(data(reader)).toEqual([2, 3])
  })

  it.each(['SIGINT', 'SIGTERM'] as const)(
    '%s commits what was printed; the next reader goes on there',
    async (signal) => {
      await publish(0, 100)
      const first = fanfare(['sub', 'orders.#', '--from', 'earliest', '--cursor', 'reports'], env)
      await first.said('stdout', /"data":99}/)
      first.signal(signal)
      expect(await first.exit).toBe(0)
      await publish(100, 103)
      expect(data(await run('sub', 'orders.#', '--from', 'earliest', '--cursor', 'reports', '--count', '2'))).toEqual([
        100, 101,
      ])
      expect(data(await run('sub', 'orders.#', '--cursor', 'reports', '--count', '1'))).toEqual([102])
    },
  )

  it('lists cursors, and deletes one', async () => {
    await publish(0, 3)
    for (const cursor of ['reports', 'totals']) {
      await run('sub', 'orders.#', '--from', 'earliest', '--cursor', cursor, '--count', '2')
    }
    const { stdout } = await run('streams', 'cursors', 'orders')
    expect(stdout).toMatch(/cursor +offset +epoch +used\nreports +2 +\S+ +\S+.*\ntotals +2/)
    expect((await run('streams', 'delete-cursor', 'orders', 'reports', '--yes')).stdout).toBe(
      'Deleted cursor "reports" of stream "orders".\n',
    )
    const { lines } = await run('streams', 'cursors', 'orders', '--json')
    expect(lines).toMatchObject([{ name: 'totals', offset: 2 }])
    const again = fanfare(['streams', 'delete-cursor', 'orders', 'reports', '--yes'], env)
    expect(await again.exit).toBe(1)
    expect(again.stderr).toContain('fanfare: no_cursor: Stream "orders" has no cursor "reports"')
  })

  it('a signal in the middle of reading leaves nothing out and repeats nothing', async () => {
    await publish(0, 2000)
    const first = fanfare(['sub', 'orders.#', '--from', 'earliest', '--cursor', 'reports'], env)
    await first.said('stdout', /\n/)
    first.signal('SIGTERM')
    expect(await first.exit).toBe(0)
    const got = data(first)
    const rest = 2000 - got.length
    if (rest > 0) got.push(...data(await run('sub', 'orders.#', '--cursor', 'reports', '--count', String(rest))))
    expect(got).toEqual(Array.from({ length: 2000 }, (_, n) => n))
  })

  it.each([
    [['elsewhere', '--cursor', 'reports'], 'no_stream: No stream captures all topics of "elsewhere"'],
    [['orders.#', '--stream', 'nothing'], 'no_stream: There is no stream "nothing"'],
  ])('%j is refused with %s', async (args, words) => {
    const command = fanfare(['sub', ...args], env)
    expect(await command.exit).toBe(1)
    expect(command.stderr).toContain(`fanfare: ${words}`)
  })
})

it('a data directory keeps streams, messages and cursors for the next hub', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'fanfare-streams-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  const restart = async () => {
    const next = await serve(['--data', folder])
    env = { FANFARE_URL: next.url }
    return next.command
  }
  const first = await restart()
  await declare()
  await publish(0, 3)
  await run('sub', 'orders.#', '--from', 'earliest', '--cursor', 'reports', '--count', '1')
  first.signal('SIGTERM')
  expect(await first.exit).toBe(0)
  await restart()
  expect(data(await run('sub', 'orders.#', '--cursor', 'reports', '--count', '2'))).toEqual([1, 2])
})
