/**
 * JSON that is forwarded as the text that arrived: no number, order of keys, escape or white space changes on the way. Encode values that may
 * contain it with `encodeJson`.
 */
export class RawJson {
  /** It has been checked to be JSON. */
  readonly text: string
  /** It has more levels of arrays and objects than data may have. */
  readonly isDeep: boolean
  /** Each of its characters is one byte of UTF-8. False if that was not checked. */
  readonly isAscii: boolean

  constructor(text: string, isDeep = false, isAscii = false) {
    this.text = text
    this.isDeep = isDeep
    this.isAscii = isAscii
  }

  /** The value, if doubles are precise enough. */
  parse(): unknown {
    return JSON.parse(this.text)
  }

  /** For `encodeJson`. */
  toJSON(): unknown {
    if (!texts) return this.parse()
    texts.push(this.text)
    return mark
  }
}

/** Stands in JSON for a text that is put there afterwards. */
let mark = 'RawJson'
/** Those to be put there, while `encodeJson` runs. */
let texts: string[] | undefined

/** `JSON.stringify` of a value that may hold `RawJson`, whose text is in the result as it is. */
export function encodeJson(value: unknown): string {
  for (;;) {
    const around = texts
    const found: string[] = []
    texts = found
    let json: string
    try {
      json = JSON.stringify(value)
    } finally {
      texts = around
    }
    if (found.length === 0) return json
    const pieces = json.split(`"${mark}"`)
    if (pieces.length === found.length + 1) return pieces.reduce((text, piece, n) => text + found[n - 1] + piece)
    // A string of the value is the same as the mark.
    mark = `RawJson ${Math.random()}`
  }
}
