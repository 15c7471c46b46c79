import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { setTimeout as wait } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { afterEach, describe, expect, it } from 'vitest'
import { WebSocket } from 'ws'
import { ENGINES } from '../setup/engines.ts'
import { ask, RawHttp } from '../setup/raw-http.ts'

const MAIN = fileURLToPath(new URL('../../dist/server/main.js', import.meta.url))
const SLOW_BODY = 'POST /v1/topics/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9999\r\n\r\n'

describe.skipIf(process.platform !== 'linux').each(ENGINES)('without file descriptors a hub on %s', (engine) => {
  let child: ChildProcess | undefined
  const log: string[] = []
  afterEach(() => child?.kill('SIGKILL'))

  /** The port of a hub that may have 200 descriptors. */
  async function start(): Promise<number> {
    log.length = 0
    child = spawn(
      'sh',
      ['-c', `ulimit -n 200; exec "$0" "$1" serve --port 0 --data memory --engine ${engine}`, process.execPath, MAIN],
      {
        stdio: ['ignore', 'ignore', 'pipe'],
      },
    )
    const lines = createInterface({ input: child.stderr as NodeJS.ReadableStream }).on('line', (line) => log.push(line))
    const [listening] = await once(lines, 'line')
    return JSON.parse(listening).port
  }

  const health = (port: number) => ask(port, 'GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n')

  /** It does not ask the system again and again for what there is not. */
  async function restsFor(ms: number): Promise<void> {
    const before = cpuSeconds(child as ChildProcess)
    await wait(ms)
    expect(cpuSeconds(child as ChildProcess) - before).toBeLessThan(ms / 2000)
  }

  it('goes on, reports it, and accepts others as soon as it can', async () => {
    const port = await start()
    const slow = await Promise.all(
      Array.from({ length: 300 }, async () => {
        const raw = await RawHttp.open(port)
        raw.socket.write(SLOW_BODY)
        return raw
      }),
    )
    await expect.poll(() => log.join('\n')).toContain('"reason":"descriptors"')
    await restsFor(2000)
    await expect.poll(async () => (await health(port)).status).toContain(' 200')
    for (const { socket } of slow) socket.destroy()
    expect(child?.exitCode).toBe(null)
  })

  it('that WebSockets hold leaves those in peace, and waits for one to close', async () => {
    const port = await start()
    let opened = 0
    const sockets = Array.from({ length: 250 }, () => {
      const socket = new WebSocket(`ws://127.0.0.1:${port}`, 'fanfare.v1')
      socket.on('error', () => {})
      socket.on('open', () => {
        opened++
        socket.send('{"type":"hello"}')
      })
      return socket
    })
    await expect.poll(() => opened).toBeGreaterThan(100)
    await expect.poll(() => log.join('\n')).toContain('"reason":"descriptors"')
    await restsFor(2000)
    expect(sockets.filter(({ readyState }) => readyState === WebSocket.OPEN).length).toBe(opened)
    for (const socket of sockets) socket.terminate()
    await expect.poll(async () => (await health(port)).status).toContain(' 200')
    expect(child?.exitCode).toBe(null)
  })
})

function cpuSeconds({ pid }: ChildProcess): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? []
  return (Number(fields[11]) + Number(fields[12])) / 100
}
