import type { Socket } from 'node:net'
import { residentBytes } from './process-stats.ts'
import { clientFrame, openRaw, seen } from './raw-websocket.ts'
import type { Target } from './targets.ts'

/** Ports of one local address that are sure to be free. */
const PER_ADDRESS = 20_000
const AT_ONCE = 100
const SETTLE_MS = 3_000

/** Opens connections that say hello and nothing more; returns the server's memory for each, in bytes. */
export async function idle(target: Target, connections: number): Promise<number> {
  const server = await target.start()
  const { pid } = server
  if (pid === undefined) throw new Error('Memory of a process is known on Linux alone')
  const sockets: Socket[] = []
  const open = async (n: number) => {
    const address = `127.0.0.${1 + Math.floor(n / PER_ADDRESS)}`
    const socket = await openRaw(server, target.subscriberPath, target.protocol, address)
    sockets.push(socket)
    if (!target.greet) return
    const heard = seen(socket, target.greet.hear)
    socket.write(clientFrame(target.greet.say))
    await heard
  }
  try {
    // The first ones pay for what is loaded and compiled once.
    for (let n = 0; n < AT_ONCE; n++) await open(n)
    await settled()
    const before = residentBytes(pid)
    for (let n = 0; n < connections; n += AT_ONCE) {
      await Promise.all(Array.from({ length: Math.min(AT_ONCE, connections - n) }, (_, i) => open(AT_ONCE + n + i)))
    }
    await settled()
    return (residentBytes(pid) - before) / connections
  } finally {
    for (const socket of sockets) socket.destroy()
    await server.stop()
  }
}

function settled(): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, SETTLE_MS)
  })
}
