import { pino } from 'pino'
import { expect, it } from 'vitest'
import { onEveryEngine } from '../setup/hubs.ts'
import { Peer } from '../setup/peer.ts'

const auth = { authenticate: async () => ({ subject: 'ann', permissions: { admin: true } }) }

onEveryEngine('an unexpected error', (hubs) => {
  it('costs its connection and no other, is logged with its stack and counted, and leaves the hub ready', async () => {
    const { log, lines } = logThat((line) => line.includes('"client":"bad"'))
    const { url, http } = await hubs.start({ auth }, log)
    const good = await Peer.hello(url)
    const bad = await Peer.open(url)
    bad.send({ type: 'hello', client: 'bad' })
    expect((await bad.closed).code).toBe(4011)
    expect(await (await fetch(`${http}/readyz`)).json()).toEqual({ status: 'ready', unexpectedErrors: 1 })
    const metrics = await (await fetch(`${http}/metrics`)).text()
    expect(metrics).toContain('fanfare_unexpected_errors_total{where="connection"} 1')
    expect(metrics).toContain('fanfare_unexpected_errors_total{where="process"} 0')
    good.send({ type: 'call', seq: 1, method: 'hub.show' })
    expect((await good.next('result')).result).toMatchObject({ connections: 1, unexpectedErrorsTotal: 1 })
    const [logged] = lines.filter((line) => line.includes('unexpected error'))
    expect(JSON.parse(logged as string)).toMatchObject({ where: 'connection', connection: expect.any(String) })
    expect(logged).toMatch(/"stack":"Error: cannot write\\n.*unexpected-errors.test/)
  })

  it('in the log itself costs nothing: connections end as they should', async () => {
    const { log } = logThat((line) => line.includes('connection ended'))
    const { hub, url } = await hubs.start({ auth }, log)
    const other = await Peer.hello(url)
    const wrong = await Peer.hello(url)
    wrong.send({ type: 'subscribe', sub: 'no number' })
    expect((await wrong.closed).code).toBe(4400)
    await expect.poll(() => hub.connectionCount).toBe(1)
    expect((await other.settled()).length).toBe(0)
  })

  it('in the program that a hub is part of is reported by the program', async () => {
    const { hub, http } = await hubs.start({ auth })
    hub.escaped(new Error('from uncaughtException'))
    const response = await fetch(`${http}/readyz`)
    expect(response.status).toBe(503)
    expect(await response.json()).toMatchObject({ status: 'not ready', unexpectedErrors: 1 })
  })
})

/** A logger whose destination fails for some lines, as on a full disk. */
function logThat(fails: (line: string) => boolean) {
  const lines: string[] = []
  const write = (line: string) => {
    if (fails(line)) throw new Error('cannot write')
    lines.push(line)
  }
  return { lines, log: pino({ level: 'debug' }, { write }) }
}
