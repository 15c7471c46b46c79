import type { Socket } from 'node:net'
import { clientFrame } from './raw-websocket.ts'

const CHECK = Buffer.from('{"type":"check","n":')
/** Bytes that a check has at most. */
const LONGEST = CHECK.length + 12

/** Answers the checks in a TCP stream, as a client does whose handlers take no time. */
export function answerChecks(socket: Socket): void {
  let answered = 0
  let rest: Buffer = Buffer.alloc(0)
  const answer = (bytes: Buffer) => {
    const at = bytes.lastIndexOf(CHECK)
    const end = at < 0 ? -1 : bytes.indexOf('}', at)
    if (end < 0) return
    const n = Number(bytes.toString('latin1', at + CHECK.length, end))
    // An answer is one to all checks before it.
    if (n > answered) socket.write(clientFrame(`{"type":"checked","n":${n}}`))
    answered = n
  }
  socket.on('data', (chunk: Buffer) => {
    answer(chunk)
    // The end of a chunk may have cut one.
    if (rest.length > 0) answer(Buffer.concat([rest, chunk.subarray(0, LONGEST)]))
    rest = chunk.subarray(-LONGEST)
  })
}
