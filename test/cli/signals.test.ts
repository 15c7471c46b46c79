import { once } from 'node:events'
import { mkdtempSync, rmSync, watch } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { connect } from '../../client/node.ts'
import { fanfare, serve } from '../setup/command.ts'
import { ENGINES } from '../setup/engines.ts'
import { Peer } from '../setup/peer.ts'

const TEXT = 'x'.repeat(100_000)
/** More than the kernel's buffers take. */
const COUNT = 100

/** A hub with a reader that does not read, and much that waits for it. */
async function busyHub(engine: string) {
  const limits = ['--outbox-bytes', '33554432', '--frame-bytes', '262144', '--drain-timeout', '20000']
  const { command, url } = await serve(['--engine', engine, ...limits])
  const slow = await Peer.hello(url)
  await slow.subscribe(1, 'flood')
  slow.stall()
  const publisher = connect(url)
  await Promise.all(Array.from({ length: COUNT }, () => publisher.publish('flood', TEXT)))
  await publisher.close()
  return { command, slow }
}

/** Resolves at the nth change in the folder of its data: a hub that gets as far has its own handlers. */
async function changes(data: string, count: number): Promise<void> {
  const watcher = watch(data)
  onTestFinished(() => watcher.close())
  for (let n = 0; n < count; n++) await once(watcher, 'change')
}

describe.each(ENGINES)('signals on %s', (engine) => {
  it.each([
    [['SIGTERM', 'SIGTERM']],
    [['SIGINT', 'SIGINT']],
    [['SIGTERM', 'SIGINT']],
    [['SIGINT', 'SIGTERM', 'SIGTERM', 'SIGINT', 'SIGINT']],
  ] as const)('%j: the drain goes on to its end', async (signals) => {
    const { command, slow } = await busyHub(engine)
    for (const [at, signal] of signals.entries()) {
      command.signal(signal)
      await command.said('stderr', new RegExp(`(?:topping"[^]*){${at + 1}}`))
    }
    slow.goOn()
    expect((await slow.closed).code).toBe(4000)
    expect(slow.frames.filter(({ type }) => type === 'message').length).toBe(COUNT)
    expect(await command.exit).toBe(0)
    expect(command.stderr).toContain('"msg":"closed"')
  })

  it.each(['SIGTERM', 'SIGINT'] as const)(
    '%s while it starts: it ends in good order, and the next one starts',
    async (signal) => {
      const data = mkdtempSync(join(tmpdir(), 'fanfare-signal-'))
      onTestFinished(() => rmSync(data, { recursive: true, force: true }))
      const args = ['serve', '--port', '0', '--data', data, '--engine', engine]
      for (const change of [1, 2, 4, 8]) {
        const files = changes(data, change)
        const command = fanfare(args)
        await Promise.race([files, command.said('stderr', /"msg":"listening"/)])
        command.signal(signal)
        expect(await command.exit).toBe(0)
        expect(command.stderr).not.toMatch(/"level":(50|60)/)
      }
      const next = await serve(['--data', data, '--engine', engine])
      next.command.signal('SIGTERM')
      expect(await next.command.exit).toBe(0)
    },
  )
})
