import { noise } from './frame-generator.ts'
import { pick, whole } from './random.ts'

type Random = () => number

const UPGRADE =
  'GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n' +
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n'
const REQUESTS = [
  'GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n',
  'POST /v1/queues HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{"name":1',
  'POST /v1/queues HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab',
  `GET /${'a'.repeat(5000)} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n`,
  UPGRADE.replace('13', '12'),
  UPGRADE.replace(/Sec-WebSocket-Key.*\r\n/, ''),
]

/** What a peer may write to a socket: HTTP that is torn or changed, and WebSocket frames that break RFC 6455. */
export function fuzzBytes(random: Random): Uint8Array[] {
  const kind = random()
  if (kind < 0.1) return [noise(random, 500)]
  if (kind < 0.35) return [scarred(random, Buffer.from(pick(random, REQUESTS)))]
  const frames = Array.from({ length: 1 + whole(random, 4) }, () => webSocketFrame(random))
  return [Buffer.from(UPGRADE), ...(random() < 0.3 ? frames.map((frame) => scarred(random, frame)) : frames)]
}

/** Opcodes that exist and that do not, reserved bits, lengths that lie, control frames that are too long or in pieces. */
function webSocketFrame(random: Random): Uint8Array {
  const payload = random() < 0.5 ? Buffer.from('{"type":"ping"}') : Buffer.from(noise(random, 200))
  const final = random() < 0.8 ? 0x80 : 0
  const reserved = random() < 0.1 ? 0x10 << whole(random, 3) : 0
  const opcode = random() < 0.6 ? 1 : whole(random, 16)
  const masked = random() < 0.9 ? 0x80 : 0
  const length = random() < 0.9 ? payload.length : whole(random, 126)
  const header = length < 126 ? [length | masked] : [126 | masked, length >> 8, length & 255]
  const huge = random() < 0.03 ? [127 | masked, 0x7f, 255, 255, 255, 255, 255, 255, 255] : header
  const mask = masked ? [0, 0, 0, 0] : []
  return Buffer.concat([Buffer.from([final | reserved | opcode, ...huge, ...mask]), payload])
}

/** Cut off, or with one byte that is another. */
function scarred(random: Random, bytes: Uint8Array): Uint8Array {
  if (random() < 0.5) return bytes.slice(0, whole(random, bytes.length))
  const changed = Uint8Array.from(bytes)
  changed[whole(random, changed.length)] = whole(random, 256)
  return changed
}
