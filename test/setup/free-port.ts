import { once } from 'node:events'
import { createServer } from 'node:net'

/** Below the ports that systems assign for port 0 and for connections: no other process gets it by chance while its hub is down. */
const LOWEST = 10_000
const PORTS = 20_000

/** A port that is free now, for a hub that will be started on it twice. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = LOWEST + Math.floor(Math.random() * PORTS)
    const server = createServer().listen(port, '127.0.0.1')
    const isFree = await once(server, 'listening').then(
      () => true,
      () => false,
    )
    server.close()
    if (isFree) return port
  }
}
