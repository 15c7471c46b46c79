import { FanfareError } from './fanfare-error.ts'
import { checkKeys, withoutForbidden } from './forbidden-keys.ts'
import type { Frame } from './frames.ts'
import { encodeJson } from './raw-json.ts'
import { decodeUtf8, encodeUtf8 } from './utf8.ts'

/**
 * Frames to WebSocket messages and back. A text message is one JSON object or an array of them. A binary message is
 * one record or several: the lengths of header and payload (two unsigned 32-bit numbers, big-endian), the header (a
 * frame as JSON, without `data`) and the payload, which is the frame's `data`.
 */
export const LENGTHS_BYTES = 8

/**
 * Parses the frames of one text message; each is a value that still has to go through `parseFrame`. One with a forbidden key is a
 * `ForbiddenFrame`, so that it costs only itself. Throws `not_json`, `bad_frame`.
 */
export function decodeText(text: string): unknown[] {
  const value = parseAny(text)
  const frames: unknown[] = Array.isArray(value) ? value : [value]
  if (frames.length === 0) throw new FanfareError('bad_frame', 'A batch must have at least one frame.')
  return withoutForbidden(text, frames)
}

/** Parses JSON from any source. Throws `not_json`, `forbidden_key`. */
export function parseJson(text: string): unknown {
  const value = parseAny(text)
  checkKeys(text, value)
  return value
}

function parseAny(text: string, message?: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw new FanfareError('not_json', message)
  }
}

/**
 * Parses the frames of one binary message. Payloads are views of `bytes`. With `own`, each has its own bytes: then its `buffer` holds nothing
 * else, begins with it, and may be transferred.
 */
export function decodeBinary(bytes: Uint8Array, own = false): unknown[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const frames: unknown[] = []
  let at = 0
  do {
    const headerAt = at + LENGTHS_BYTES
    checkEnd(bytes, headerAt)
    const headerEnd = headerAt + view.getUint32(at)
    const end = headerEnd + view.getUint32(at + 4)
    checkEnd(bytes, end)
    const header = decodeHeader(bytes.subarray(headerAt, headerEnd))
    // An own property, whatever is in the header: the payload is the data.
    if (typeof header === 'object' && header !== null && !Array.isArray(header)) {
      Object.assign(header, { data: own ? bytes.slice(headerEnd, end) : bytes.subarray(headerEnd, end) })
    }
    frames.push(header)
    at = end
  } while (at < bytes.length)
  return frames
}

function checkEnd(bytes: Uint8Array, end: number): void {
  if (end > bytes.length)
    throw new FanfareError(
      'bad_binary',
      `The binary message is ${end - bytes.length} bytes shorter than its lengths say.`,
    )
}

function decodeHeader(bytes: Uint8Array): unknown {
  let text: string
  try {
    text = decodeUtf8(bytes)
  } catch {
    throw new FanfareError('bad_utf8', 'The header of a record is not valid UTF-8.')
  }
  const header = parseAny(text, 'The header of a record is not valid JSON.')
  return Array.isArray(header) ? header : withoutForbidden(text, [header])[0]
}

/** The one encoder: a frame as text, or as a binary record if its data is bytes. */
export function encodeFrame(frame: Frame): string | Uint8Array {
  return 'data' in frame && frame.data instanceof Uint8Array
    ? encodeRecord(JSON.stringify({ ...frame, data: undefined }), frame.data)
    : encodeJson(frame)
}

/** A record of a binary message. */
export function encodeRecord(header: string, payload: Uint8Array): Uint8Array {
  const headerBytes = encodeUtf8(header)
  const record = new Uint8Array(LENGTHS_BYTES + headerBytes.length + payload.length)
  const view = new DataView(record.buffer)
  view.setUint32(0, headerBytes.length)
  view.setUint32(4, payload.length)
  record.set(headerBytes, LENGTHS_BYTES)
  record.set(payload, LENGTHS_BYTES + headerBytes.length)
  return record
}

/** Frames that were encoded to text, as the text of one message. */
export function joinText(frames: readonly string[]): string {
  return frames.length === 1 ? (frames[0] as string) : `[${frames.join(',')}]`
}
