import { Buffer } from 'node:buffer'
import { RawJson } from '../../../shared/raw-json.ts'

/**
 * The JSON of a value that may hold `RawJson` and bytes at any place, for `decodeValue`. What JSON has no form for is an object with one
 * member whose name begins with `$`.
 */
export function encodeValue(value: unknown): string {
  return JSON.stringify(marked(value)) ?? 'null'
}

export function decodeValue(json: string): unknown {
  return unmarked(JSON.parse(json))
}

function marked(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value
  if (value instanceof RawJson) return { $json: value.text, isDeep: value.isDeep, isAscii: value.isAscii }
  if (value instanceof Uint8Array) return { $bytes: Buffer.from(value).toString('base64') }
  if (Array.isArray(value)) return value.map(marked)
  const members = membersOf(value, marked)
  return Object.keys(value).some((name) => name.startsWith('$')) ? { $members: members } : members
}

function unmarked(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) return value.map(unmarked)
  const { $json, isDeep, isAscii, $bytes, $members } = value as Record<string, unknown>
  if (typeof $json === 'string') return new RawJson($json, isDeep === true, isAscii === true)
  if (typeof $bytes === 'string') return new Uint8Array(Buffer.from($bytes, 'base64'))
  return membersOf($members ?? value, unmarked)
}

function membersOf(value: object, change: (member: unknown) => unknown): Record<string, unknown> {
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, change(member)]))
}
