import { Buffer } from 'node:buffer'
import { parseJson } from '../../shared/codec.ts'
import { FanfareError } from '../../shared/errors.ts'

const strictUtf8 = new TextDecoder('utf-8', { fatal: true })

/** The whole body, of `limit` bytes at most: of a larger one no more is read. Throws `frame_too_large`. */
export async function readBody(request: Request, limit: number): Promise<Uint8Array> {
  const declared = Number(request.headers.get('content-length') ?? 0)
  if (declared > limit) throw tooLarge(declared)
  const reader = request.body?.getReader()
  const chunks: Uint8Array[] = []
  for (let bytes = 0; reader; ) {
    const { done, value } = await reader.read()
    if (done) break
    bytes += value.length
    if (bytes > limit) {
      // Not awaited: it waits for the rest that the peer is still sending.
      reader.cancel().catch(() => {})
      throw tooLarge(bytes)
    }
    chunks.push(value)
  }
  return Buffer.concat(chunks)
}

/** Whether the body says that it is JSON: a form of another site cannot. */
export function isJson(request: Request): boolean {
  return /^application\/json\s*(;|$)/i.test(request.headers.get('content-type') ?? '')
}

/** The JSON of a body. Throws `bad_utf8`, `not_json`, `forbidden_key`. */
export function jsonOf(bytes: Uint8Array): unknown {
  let text: string
  try {
    text = strictUtf8.decode(bytes)
  } catch {
    throw new FanfareError('bad_utf8', 'The body is broken')
  }
  return parseJson(text)
}

function tooLarge(bytes: number): FanfareError {
  return new FanfareError('frame_too_large', `The body has ${bytes} bytes or more`)
}
