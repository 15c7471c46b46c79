import { Buffer } from 'node:buffer'
import { parseJson } from '../../shared/codec.ts'
import { FanfareError } from '../../shared/errors.ts'
import { checkKeysOf } from '../../shared/forbidden-text.ts'
import { scanJson, scanOneOrMore } from '../../shared/frame-scanner.ts'
import type { RawJson } from '../../shared/raw-json.ts'

const strictUtf8 = new TextDecoder('utf-8', { fatal: true })

/** The whole body, up to `limit` bytes; of a larger body no more is read. Throws `frame_too_large`. */
export async function readBody(request: Request, limit: number): Promise<Uint8Array> {
  const declared = Number(request.headers.get('content-length') ?? 0)
  if (declared > limit) throw tooLarge(declared, limit)
  const reader = request.body?.getReader()
  const chunks: Uint8Array[] = []
  for (let bytes = 0; reader; ) {
    const { done, value } = await reader.read()
    if (done) break
    bytes += value.length
    if (bytes > limit) {
      // Not awaited, because it waits for the rest that the peer is still sending.
      reader.cancel().catch(() => {})
      throw tooLarge(bytes, limit)
    }
    chunks.push(value)
  }
  return Buffer.concat(chunks)
}

/** JSON by any of its media types (RFC 8259, and the suffix of RFC 6839). Forms of other sites cannot send these. */
const JSON_TYPES = /^(application|text)\/json$|^[\w.!#$&^-]+\/[\w.!#$&^+-]+\+json$/
/** Content types of forms, as browsers and curl send them. They are never meant as the bytes of a message. */
const FORM_TYPES = ['application/x-www-form-urlencoded', 'multipart/form-data']

/** Whether the content type says that the body is JSON. Throws `bad_content_type` if it says that it is a form. */
export function isJson(request: Request): boolean {
  const type = mediaTypeOf(request)
  if (FORM_TYPES.includes(type)) throw badContentType(type, 'application/json, or application/octet-stream for bytes')
  return JSON_TYPES.test(type)
}

/** Throws `bad_content_type` unless the content type says that the body is JSON. */
export function requireJson(request: Request): void {
  if (!isJson(request)) throw badContentType(mediaTypeOf(request), 'application/json')
}

function mediaTypeOf(request: Request): string {
  const [type = ''] = (request.headers.get('content-type') ?? '').split(';')
  return type.trim().toLowerCase()
}

function badContentType(type: string, expected: string): FanfareError {
  const got = type === '' ? 'it has none' : `got ${type.slice(0, 100)}`
  return new FanfareError('bad_content_type', `The content type of the body must be ${expected} (${got}).`)
}

/** The JSON of a body. Throws `bad_utf8`, `not_json`, `forbidden_key`. */
export function jsonOf(bytes: Uint8Array): unknown {
  return parseJson(textOf(bytes))
}

/** The JSON of a body as the text that came. Throws as `jsonOf`. */
export function rawJsonOf(bytes: Uint8Array): RawJson {
  const text = textOf(bytes)
  const json = scanJson(text)
  checkKeysOf(text)
  return json
}

/**
 * The publish in a body, or a list of publishes: the `data` of each is `RawJson`. One with a forbidden key is a `ForbiddenFrame`.
 * Throws `bad_utf8`, `not_json`.
 */
export function publishesOf(bytes: Uint8Array): unknown {
  return scanOneOrMore(textOf(bytes))
}

function textOf(bytes: Uint8Array): string {
  try {
    return strictUtf8.decode(bytes)
  } catch {
    throw new FanfareError('bad_utf8', 'The body is not valid UTF-8.')
  }
}

function tooLarge(bytes: number, limit: number): FanfareError {
  return new FanfareError('frame_too_large', `The body has ${bytes} bytes or more, and the limit is ${limit}.`)
}
