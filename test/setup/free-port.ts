import { once } from 'node:events'
import { createServer } from 'node:net'

/** Below what systems give out for port 0 and for connections: nobody comes to have it by chance while its hub is away. */
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
