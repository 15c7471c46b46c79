/** Longest part of a value that an error shows, in characters. */
const SHOWN_CHARACTERS = 100

/** A value as an error shows what it got. A longer text is described only: the first characters of a token would be too much. */
export function shown(value: unknown): string {
  if (typeof value === 'string')
    return value.length > SHOWN_CHARACTERS ? `${value.length} characters` : JSON.stringify(value)
  if (value === undefined) return 'nothing'
  if (Array.isArray(value)) return 'a list'
  if (typeof value === 'object' && value !== null) return ArrayBuffer.isView(value) ? 'bytes' : 'an object'
  return typeof value === 'function' || typeof value === 'symbol' ? `a ${typeof value}` : String(value).slice(0, 100)
}

/** A name in quotation marks, cut. */
export function quoted(name: string): string {
  return JSON.stringify(name.length > SHOWN_CHARACTERS ? `${name.slice(0, SHOWN_CHARACTERS)}…` : name)
}

/** The same text with a full stop at its end: what a platform reports has none, and the errors of the table have one. */
export function sentence(text: string): string {
  return /[.!?…]$/.test(text) ? text : `${text}.`
}
