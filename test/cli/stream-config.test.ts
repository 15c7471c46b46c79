import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { connect } from '../../client/node.ts'
import { checkConfig } from '../../server/config.ts'
import { fanfare, serve } from '../setup/command.ts'

function file(streams: unknown): string {
  const folder = mkdtempSync(join(tmpdir(), 'fanfare-config-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  const path = join(folder, 'fanfare.json')
  writeFileSync(path, JSON.stringify({ streams }))
  return path
}

it('the file declares streams, with every option and with none', async () => {
  const full = { name: 'orders', topics: ['orders.#', 'returns.*'], maxAge: '12h', maxBytes: 1_000_000, maxMessages: 9 }
  const { url } = await serve([
    '--config',
    file([
      { ...full, durability: 'os' },
      { name: 'all', topics: ['#'] },
    ]),
  ])
  const client = connect(url)
  const { maxAge: _, ...same } = full
  expect(await client.admin.streams.show('orders')).toMatchObject({ ...same, maxAgeMs: 43_200_000, durability: 'os' })
  expect(await client.admin.streams.show('all')).toMatchObject({
    topics: ['#'],
    maxAgeMs: 7 * 86_400_000,
    maxBytes: 10 * 2 ** 30,
    lastValue: false,
    durability: 'disk',
  })
  expect((await client.publish('orders.new', 1)).positions).toEqual({
    all: { epoch: expect.any(String), offset: 0 },
    orders: { epoch: expect.any(String), offset: 0 },
  })
  await client.close()
})

it.each([
  [1500, 1500],
  ['250ms', 250],
  ['90s', 90_000],
  ['5m', 300_000],
  ['36h', 129_600_000],
  ['1.5h', 5_400_000],
  ['7d', 604_800_000],
  ['2w', 1_209_600_000],
])('a duration of %j is %d ms', (maxAge, ms) => {
  expect(checkConfig({ streams: [{ name: 's', topics: ['a'], maxAge }] }).streams[0]?.maxAgeMs).toBe(ms)
})

const good = { name: 's', topics: ['a'] }

it.each([
  [
    { ...good, maxAge: '7 days' },
    'streams.0.maxAge must be a duration above 0: a number of milliseconds, or text such as',
  ],
  [{ ...good, maxAge: '7 d' }, 'streams.0.maxAge must be '],
  [{ ...good, maxAge: '60' }, 'streams.0.maxAge must be '],
  [{ ...good, maxAge: '0d' }, 'streams.0.maxAge must be '],
  [{ ...good, maxAge: 0 }, 'streams.0.maxAge must be '],
  [{ ...good, maxBytes: '1GB' }, 'streams.0.maxBytes must be '],
  [{ ...good, durability: 'ram' }, 'streams.0.durability must be '],
  [{ ...good, lastValue: true, maxMessages: 5 }, 'streams.0.maxMessages cannot be combined with lastValue'],
  [{ ...good, name: 'a b' }, 'streams.0.name must be 1 to 64 letters'],
  [{ ...good, topics: [] }, 'streams.0.topics must have '],
  [{ ...good, topics: ['a', 'b.#c'] }, 'streams.0.topics.1: '],
  [{ ...good, maxage: '7d' }, 'maxage'],
])('%j is refused: %s', (stream, words) => {
  expect(() => checkConfig({ streams: [stream] })).toThrow(words)
})

it('two streams of one name are refused', () => {
  expect(() => checkConfig({ streams: [good, { ...good, topics: ['b'] }] })).toThrow(
    'streams.1.name is declared twice: "s"',
  )
})

it('serve ends with the sentence that names the field', async () => {
  const command = fanfare(['serve', '--port', '0', '--data', 'memory', '--config', file([{ ...good, maxAge: 'long' }])])
  expect(await command.exit).toBe(2)
  expect(command.stderr).toMatch(/^fanfare: bad_config: streams\.0\.maxAge must be .*"long"/)
})
