import { afterEach, expect, it, vi } from 'vitest'
import { connect } from '../../client/node.ts'
import { startHub } from '../../server/index.ts'
import { keptLog } from '../setup/kept-log.ts'

const YEAR = 365 * 86_400_000
const MINUTE = 60_000

afterEach(() => {
  vi.restoreAllMocks()
})

/** The hub counts its time on from its start; then the machine's clock is set to what it should have been. */
function setClock(byMs: number): void {
  const now = Date.now
  vi.spyOn(Date, 'now').mockImplementation(() => now() + byMs)
}

it.each([2 * YEAR, 90 * MINUTE, -2 * YEAR])(
  'a clock that was wrong at the start and is set by %i ms: times mean what the clock says now',
  async (byMs) => {
    const { log, lines } = keptLog()
    const hub = await startHub(
      { port: 0, streams: [{ name: 'log', topics: ['log'] }], queues: [{ name: 'jobs' }] },
      log,
    )
    const client = connect(`ws://127.0.0.1:${hub.port}`)
    await client.ready()
    setClock(byMs)

    const since = performance.now()
    const live: unknown[] = []
    await client.subscribe('live', ({ data }) => void live.push(data)).ready
    await client.publish('live', 'expires in a minute', { expiresAt: Date.now() + MINUTE })
    await client.publish('live', 'expired a minute ago', { expiresAt: Date.now() - MINUTE })
    await client.enqueue('jobs', 'expired a minute ago', { expiresAt: Date.now() - MINUTE })
    await client.enqueue('jobs', 'expires in a minute', { expiresAt: Date.now() + MINUTE })
    await client.enqueue('jobs', 'at a time', { deliverAt: Date.now() + 500 })
    const jobs: unknown[] = []
    client.consume('jobs', ({ data }) => void jobs.push(data))
    await expect.poll(() => jobs).toEqual(['expires in a minute', 'at a time'])
    expect(performance.now() - since).toBeGreaterThan(400)
    expect(live).toEqual(['expires in a minute'])

    await client.publish('log', 'kept', { expiresAt: Date.now() + MINUTE })
    await client.publish('log', 'expired', { expiresAt: Date.now() - MINUTE })
    const last = new Promise<unknown>((resolve) => {
      client.subscribe('log', ({ data }) => resolve(data), { from: { time: Date.now() - MINUTE } })
    })
    expect(await last).toBe('kept')

    await expect
      .poll(() => lines, { timeout: 10_000 })
      .toContainEqual(expect.objectContaining({ msg: expect.stringContaining('clock was changed') }))
    const metrics = await (await fetch(`http://127.0.0.1:${hub.port}/metrics`)).text()
    const offset = Number(/^fanfare_clock_offset_seconds (\S+)$/m.exec(metrics)?.[1])
    expect(Math.abs(offset - byMs / 1000)).toBeLessThan(2)
    await client.close()
    await hub.close()
  },
)
