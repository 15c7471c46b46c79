import { createServer } from 'node:net'

/**
 * Whether another socket listens at an address. A hub that starts asks this before it waits for its data directory: with a second
 * hub started by mistake, the port is what the operator has to hear of, and at once. A hub that is draining has
 * closed its port already, so its successor still waits for its data.
 */
export function isPortInUse(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createServer()
    // The engine says what else is wrong with the address.
    probe.once('error', (error: NodeJS.ErrnoException) => resolve(error.code === 'EADDRINUSE'))
    probe.listen({ host, port, exclusive: true }, () => probe.close(() => resolve(false)))
  })
}
