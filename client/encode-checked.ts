import { encodeRecord, parseJson } from '../shared/codec.ts'
import type { ContentFrame } from '../shared/content-frames.ts'
import { sentence } from '../shared/error-text.ts'
import { FanfareError } from '../shared/fanfare-error.ts'
import { MAX_NESTING } from '../shared/nesting.ts'
import { encodeJson, RawJson } from '../shared/raw-json.ts'
import { textOf } from '../shared/thrown.ts'
import { tagOf } from './options.ts'

/** Objects that JSON expresses as they are. An instance of a class is its fields; one that keeps its content elsewhere would become `{}`. */
const SAYABLE = /^\[object (Object|String|Number|Boolean)\]$/

/**
 * Encodes every frame that has data of the application. It refuses what the hub would refuse, and what would arrive as
 * something else: a wrong call costs only that call. Data that is bytes of any kind goes out as bytes.
 *
 * @param levels - how many arrays and objects of the frame are around the data
 * @throws FanfareError `nested_too_deeply`, `forbidden_key`, and `bad_data` for what JSON cannot express
 */
export function encodeChecked(frame: ContentFrame, levels = 1): string | Uint8Array {
  let header: ContentFrame & { data?: unknown } = frame
  // Getters, proxies and `toJSON` are the application's, and may throw anything.
  try {
    const bytes = bytesOf(header.data)
    if (bytes) header = { ...frame, data: undefined }
    const fault = faultIn(header, MAX_NESTING + levels)
    if (fault !== undefined)
      throw new FanfareError('bad_data', `JSON cannot express the data: ${fault.replace(/^[. ]/, '').slice(0, 200)}.`)
    const text = encodeJson(header)
    // The decoder refuses "__proto__" and "constructor" with "prototype"; few frames have to be asked about it.
    if (text.includes('proto')) parseJson(text)
    return bytes ? encodeRecord(text, bytes) : text
  } catch (error) {
    if (error instanceof FanfareError) throw error
    throw new FanfareError('bad_data', `The data cannot be encoded: ${sentence(textOf(error))}`)
  }
}

/** Bytes of any kind and any realm, as they are in memory. Undefined: it is something else. */
function bytesOf(data: unknown): Uint8Array | undefined {
  if (data instanceof Uint8Array) return data
  if (ArrayBuffer.isView(data)) return new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
  return /ArrayBuffer\]$/.test(tagOf(data)) ? new Uint8Array(data as ArrayBuffer) : undefined
}

/**
 * Where and why JSON would express something else, such as `.data.list[2] is a Map`. A field that is undefined is left out. `around` are the
 * arrays and objects that the value is in, `levels` at most.
 */
function faultIn(given: unknown, levels: number, around: unknown[] = []): string | undefined {
  let value = given
  if (typeof value === 'object' || typeof value === 'bigint') {
    if (value === null || value instanceof RawJson) return undefined
    if (ArrayBuffer.isView(value)) return ' is bytes'
    if (typeof (value as { toJSON?: unknown }).toJSON === 'function') {
      value = (value as { toJSON(key: string): unknown }).toJSON('')
      if (value === null && given instanceof Date) return ' is an invalid Date'
    }
  }
  if (value === null || value === undefined || typeof value === 'string' || typeof value === 'boolean') return undefined
  if (typeof value === 'number') return Number.isFinite(value) ? undefined : ` is ${value}`
  if (typeof value !== 'object') return ` is a ${typeof value}`
  if (around.includes(value)) return ' is a cycle: it contains itself'
  if (around.length === levels) throw new FanfareError('nested_too_deeply')
  around.push(value)
  const inner = Array.isArray(value) ? faultInList(value, levels, around) : faultInFields(value, levels, around)
  around.pop()
  return inner
}

function faultInList(list: readonly unknown[], levels: number, around: unknown[]): string | undefined {
  for (let at = 0; at < list.length; at++) {
    const fault = list[at] === undefined ? ' is undefined' : faultIn(list[at], levels, around)
    if (fault !== undefined) return `[${at}]${fault}`
  }
  return undefined
}

function faultInFields(value: object, levels: number, around: unknown[]): string | undefined {
  // Most objects need no look at their type.
  if (Object.getPrototypeOf(value) !== Object.prototype && !SAYABLE.test(tagOf(value)))
    return ` is of the type ${tagOf(value).slice(8, -1)}`
  for (const name of Object.keys(value)) {
    const fault = faultIn((value as Record<string, unknown>)[name], levels, around)
    if (fault !== undefined) return `.${name}${fault}`
  }
  return undefined
}
