import { once } from 'node:events'
import { connect, type Socket } from 'node:net'

/**
 * A WebSocket of which this process reads and writes the bytes itself: one core has to take in what a hub sends to
 * hundreds of subscribers, and a library for each would cost more than the hub.
 */
export async function openRaw(
  { host = '127.0.0.1', port }: { readonly host?: string; readonly port: number },
  path: string,
  protocol: string | undefined,
  localAddress?: string,
): Promise<Socket> {
  const socket = connect({ host, port, noDelay: true, ...(localAddress && { localAddress }) })
  await once(socket, 'connect')
  socket.on('error', () => {})
  socket.write(
    `GET ${path} HTTP/1.1\r\nHost: ${host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n` +
      `Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n${protocol ? `Sec-WebSocket-Protocol: ${protocol}\r\n` : ''}\r\n`,
  )
  const answer = await seen(socket, '\r\n\r\n')
  if (!answer.startsWith('HTTP/1.1 101')) throw new Error(`No WebSocket: ${answer.split('\r\n')[0]}`)
  return socket
}

/** One WebSocket message of a client: masked, with a mask of zeros, so that the payload stays as it is. */
export function clientFrame(text: string, binary = false): Buffer {
  const length = Buffer.byteLength(text)
  const header = length < 126 ? 6 : length < 65_536 ? 8 : 14
  const frame = Buffer.alloc(header + length)
  frame[0] = binary ? 0x82 : 0x81
  frame[1] = 0x80 | (header === 6 ? length : header === 8 ? 126 : 127)
  if (header === 8) frame.writeUInt16BE(length, 2)
  if (header === 14) frame.writeBigUInt64BE(BigInt(length), 2)
  frame.write(text, header)
  return frame
}

/** Resolves with all that the socket has brought when this text is in it; rejects when it ends before. */
export function seen(socket: Socket, text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let before = ''
    const settle = (act: () => void) => {
      socket.off('data', read).off('close', ended)
      act()
    }
    const read = (chunk: Buffer) => {
      before += chunk.toString('latin1')
      if (before.includes(text)) settle(() => resolve(before))
    }
    const ended = () => settle(() => reject(new Error(`The server closed instead of ${text}: ${before}`)))
    socket.on('data', read).on('close', ended)
  })
}
