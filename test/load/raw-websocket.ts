import { once } from 'node:events'
import { connect, type Socket } from 'node:net'

/**
 * A WebSocket of which this process reads and writes the bytes itself: one core has to take in what a hub sends to
 * hundreds of subscribers, and a library for each would cost more than the hub.
 */
export async function openRaw(port: number, path: string, protocol: string | undefined, localAddress?: string) {
  const socket = connect({ host: '127.0.0.1', port, noDelay: true, ...(localAddress && { localAddress }) })
  socket.on('error', () => {})
  await once(socket, 'connect')
  socket.write(
    `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n` +
      `Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n${protocol ? `Sec-WebSocket-Protocol: ${protocol}\r\n` : ''}\r\n`,
  )
  const answer = ((await once(socket, 'data')) as [Buffer])[0].toString('latin1')
  if (!answer.startsWith('HTTP/1.1 101')) throw new Error(`No WebSocket: ${answer.split('\r\n')[0]}`)
  return socket
}

/** One WebSocket message of a client: masked, with a mask of zeros, so that the payload stays as it is. */
export function clientFrame(text: string, binary = false): Buffer {
  const length = Buffer.byteLength(text)
  const wide = length > 125
  const frame = Buffer.alloc((wide ? 8 : 6) + length)
  frame[0] = binary ? 0x82 : 0x81
  frame[1] = 0x80 | (wide ? 126 : length)
  if (wide) frame.writeUInt16BE(length, 2)
  frame.write(text, wide ? 8 : 6)
  return frame
}

/** Resolves when the socket has brought this text. */
export async function seen(socket: Socket, text: string): Promise<void> {
  let before = ''
  for (;;) {
    before += ((await once(socket, 'data')) as [Buffer])[0].toString('latin1')
    if (before.includes(text)) return
  }
}
