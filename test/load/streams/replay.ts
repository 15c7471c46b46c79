import type { StartAt } from '../../../shared/streams.ts'
import { DeliveryCounter } from '../delivery-counter.ts'
import { clientFrame, openRaw } from '../raw-websocket.ts'
import type { Running } from '../targets.ts'

/** Seconds from subscribing until this many messages have arrived at a reader that only counts them. */
export async function replay(
  hub: Running,
  stream: string,
  from: StartAt,
  count: number,
  size: number,
): Promise<number> {
  const socket = await openRaw(hub, '/', 'fanfare.v1')
  const counter = new DeliveryCounter(size, false)
  const start = performance.now()
  await new Promise<void>((resolve, reject) => {
    socket.on('data', (chunk: Buffer) => {
      counter.add(chunk)
      if (counter.count >= count) resolve()
    })
    socket.on('close', () => reject(new Error(`The hub closed after ${counter.count} messages`)))
    socket.write(clientFrame(JSON.stringify({ type: 'subscribe', sub: 1, pattern: stream, from })))
  })
  socket.removeAllListeners('close').destroy()
  return (performance.now() - start) / 1000
}
