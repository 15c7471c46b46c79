import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { setTimeout as wait } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { afterEach, describe, expect, it } from 'vitest'
import { ENGINES } from '../setup/engines.ts'
import { ask, RawHttp } from '../setup/raw-http.ts'

const MAIN = fileURLToPath(new URL('../../dist/server/main.js', import.meta.url))
const SLOW_BODY = 'POST /v1/topics/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9999\r\n\r\n'

describe.skipIf(process.platform !== 'linux').each(ENGINES)('without file descriptors a hub on %s', (engine) => {
  let child: ChildProcess | undefined
  const log: string[] = []
  afterEach(() => child?.kill('SIGKILL'))

  it('goes on, says so, and lets others in as soon as it can', async () => {
    child = spawn(
      'sh',
      ['-c', `ulimit -n 200; exec "$0" "$1" serve --port 0 --data memory --engine ${engine}`, process.execPath, MAIN],
      {
        stdio: ['ignore', 'ignore', 'pipe'],
      },
    )
    const lines = createInterface({ input: child.stderr as NodeJS.ReadableStream }).on('line', (line) => log.push(line))
    const [listening] = await once(lines, 'line')
    const { port } = JSON.parse(listening)
    const slow = await Promise.all(
      Array.from({ length: 300 }, async () => {
        const raw = await RawHttp.open(port)
        raw.socket.write(SLOW_BODY)
        return raw
      }),
    )
    await expect.poll(() => log.join('\n')).toContain('"reason":"descriptors"')
    // It does not ask the system again and again for what there is not.
    const before = cpuSeconds(child)
    await wait(2000)
    expect(cpuSeconds(child) - before).toBeLessThan(1)
    const health = () => ask(port, 'GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n')
    await expect.poll(async () => (await health()).status, { timeout: 5000 }).toContain(' 200')
    for (const { socket } of slow) socket.destroy()
    expect(child.exitCode).toBe(null)
  })
})

function cpuSeconds({ pid }: ChildProcess): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? []
  return (Number(fields[11]) + Number(fields[12])) / 100
}
