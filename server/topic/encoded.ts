import { Buffer } from 'node:buffer'
import { encodeRecord } from '../../shared/codec.ts'

/** A frame as it goes over the wire: JSON text, or a record of a binary message. Made once, shared by all who get it. */
export class Encoded {
  readonly text: string | undefined
  readonly record: Uint8Array | undefined
  readonly bytes: number
  /** Of the message, where it is one: a gap names the first and the last that it stands for. */
  readonly id: string | undefined

  /** With a payload, `json` is the header of a binary record. */
  constructor(json: string, payload?: Uint8Array, id?: string) {
    this.id = id
    this.text = payload === undefined ? json : undefined
    this.record = payload === undefined ? undefined : encodeRecord(json, payload)
    this.bytes = this.record?.length ?? Buffer.byteLength(json)
  }
}
