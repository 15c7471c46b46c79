import { fieldOf, itemsOf } from '../shared/json-text.ts'

/** A WebSocket message. Its text is kept for `raw`, and is scanned when `raw` is first read. */
export class Received {
  readonly #text: string | undefined
  #frames: readonly string[] | undefined

  constructor(data: unknown) {
    this.#text = typeof data === 'string' ? data : undefined
  }

  /** The JSON text of a frame, or of a value in it. Undefined: there is none, or it is bytes. */
  raw(frame: number, ...path: readonly string[]): string | undefined {
    if (this.#text === undefined) return undefined
    this.#frames ??= itemsOf(this.#text)
    return path.reduce<string | undefined>((text, name) => text && fieldOf(text, name), this.#frames[frame])
  }
}

/** The JSON text of a value in a frame, by the names of the fields that lead to it. */
export type Raw = (...path: readonly string[]) => string | undefined
