import { encodeRecord, parseJson } from '../shared/codec.ts'
import { CONTENT_FRAMES, type ContentFrame } from '../shared/content-frames.ts'
import { sentence } from '../shared/error-text.ts'
import { FanfareError } from '../shared/fanfare-error.ts'
import { encodeJson, RawJson } from '../shared/raw-json.ts'
import { checkFrame } from '../shared/rules.ts'
import { textOf } from '../shared/thrown.ts'
import { tagOf } from './options.ts'

/** Levels of a whole frame: those of data, and those around it in an ack that publishes. What is data has its own bound. */
const MAX_LEVELS = 104

/** What JSON says as it is. An object of a class counts by its fields; what keeps its content elsewhere would become `{}`. */
const SAYABLE = /^\[object (Object|String|Number|Boolean)\]$/

/**
 * The way out for every frame of the application's own content. It refuses here what the hub would refuse, and what would arrive as
 * something else: one wrong call costs that call. Data that is bytes of any kind goes out as bytes.
 *
 * @throws FanfareError `bad_frame`, `nested_too_deeply`, `forbidden_key`, and `bad_data` for what JSON cannot say
 */
export function encodeChecked(frame: ContentFrame): string | Uint8Array {
  let header: ContentFrame & { data?: unknown } = frame
  // Getters, proxies and `toJSON` are the application's, and may throw anything.
  try {
    const bytes = bytesOf(header.data)
    if (bytes) header = { ...frame, data: undefined }
    const fault = faultIn(header, MAX_LEVELS)
    if (fault !== undefined)
      throw new FanfareError('bad_data', `JSON cannot express the data: ${fault.replace(/^[. ]/, '').slice(0, 200)}.`)
    checkFrame(header, CONTENT_FRAMES)
    const text = encodeJson(header)
    // The decoder refuses "__proto__" and "constructor" with "prototype"; few frames have to be asked about it.
    if (text.includes('proto')) parseJson(text)
    return bytes ? encodeRecord(text, bytes) : text
  } catch (error) {
    if (error instanceof FanfareError) throw error
    throw new FanfareError('bad_data', `The data cannot be encoded: ${sentence(textOf(error))}`)
  }
}

/** Bytes of any kind and any realm, as they lie in memory. Undefined: it is something else. */
function bytesOf(data: unknown): Uint8Array | undefined {
  if (data instanceof Uint8Array) return data
  if (ArrayBuffer.isView(data)) return new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
  return /ArrayBuffer\]$/.test(tagOf(data)) ? new Uint8Array(data as ArrayBuffer) : undefined
}

/** Where and why JSON would say something else, such as `.data.list[2] is a Map`. A field that is undefined is left out. */
function faultIn(given: unknown, levels: number): string | undefined {
  let value = given
  if (typeof value === 'object' || typeof value === 'bigint') {
    if (value instanceof RawJson) return undefined
    if (ArrayBuffer.isView(value)) return ' is bytes'
    if (typeof (value as { toJSON?: unknown } | null)?.toJSON === 'function') {
      value = (value as { toJSON(key: string): unknown }).toJSON('')
    }
  }
  if (value === null || value === undefined || typeof value === 'string' || typeof value === 'boolean') return undefined
  if (typeof value === 'number') return Number.isFinite(value) ? undefined : ` is ${value}`
  if (typeof value !== 'object') return ` is a ${typeof value}`
  if (levels === 0) throw new FanfareError('nested_too_deeply')
  if (Array.isArray(value)) {
    for (let at = 0; at < value.length; at++) {
      const fault = value[at] === undefined ? ' is undefined' : faultIn(value[at], levels - 1)
      if (fault !== undefined) return `[${at}]${fault}`
    }
    return undefined
  }
  // Most objects need no look at their type.
  if (Object.getPrototypeOf(value) !== Object.prototype && !SAYABLE.test(tagOf(value)))
    return ` is of the type ${tagOf(value).slice(8, -1)}`
  for (const name of Object.keys(value)) {
    const fault = faultIn((value as Record<string, unknown>)[name], levels - 1)
    if (fault !== undefined) return `.${name}${fault}`
  }
  return undefined
}
