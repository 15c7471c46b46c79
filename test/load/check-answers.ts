import type { Socket } from 'node:net'
import { clientFrame } from './raw-websocket.ts'

const CHECK = /^\{"type":"check","n":(\d+)\}$/

/**
 * Answers the checks in a TCP stream, as a client does whose handlers take no time. Of all WebSocket messages but the short ones it reads
 * the header only, since a search of their bytes would cost the load more than everything else. A check is a message of its own.
 */
export function answerChecks(socket: Socket): void {
  /** Bytes of a long message that are still to come. */
  let skip = 0
  /** The beginning of a header or of a short message. */
  let cut: Buffer = Buffer.alloc(0)
  socket.on('data', (chunk: Buffer) => {
    const bytes = cut.length > 0 ? Buffer.concat([cut, chunk]) : chunk
    let n: string | undefined
    let at = skip
    for (let length = lengthAt(bytes, at); length !== undefined; length = lengthAt(bytes, at)) {
      if (length < LONG) n = CHECK.exec(bytes.toString('latin1', at + 2, at + length))?.[1] ?? n
      at += length
    }
    skip = Math.max(0, at - bytes.length)
    cut = bytes.subarray(at)
    // An answer is one to all checks before it.
    if (n !== undefined) socket.write(clientFrame(`{"type":"checked","n":${n}}`))
  })
}

/** Longer messages have more than a byte for their length. */
const LONG = 2 + 126

/** The length of the WebSocket message that begins there, with its header; undefined if its header, or a short message, is not complete. */
function lengthAt(bytes: Buffer, at: number): number | undefined {
  if (at + 2 > bytes.length) return undefined
  const size = bytes[at + 1] as number
  const header = size < 126 ? 2 : size === 126 ? 4 : 10
  if (at + (size < 126 ? header + size : header) > bytes.length) return undefined
  if (size < 126) return header + size
  return header + (size === 126 ? bytes.readUInt16BE(at + 2) : Number(bytes.readBigUInt64BE(at + 2)))
}
