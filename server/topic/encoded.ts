import { Buffer } from 'node:buffer'
import { encodeRecord } from '../../shared/codec.ts'

/** A frame as it goes over the wire: JSON text, or a record of a binary message. Made once, shared by all who get it. */
export class Encoded {
  readonly text: string | undefined
  readonly record: Uint8Array | undefined
  readonly bytes: number
  /** Of the message, where it is one: a gap names the first and the last that it stands for. */
  readonly id: string | undefined
  /** It is text, and each of its characters is known to be one byte. */
  readonly isAscii: boolean
  readonly isReceipt: boolean

  /** With a payload, `json` is the header of a binary record. */
  constructor(json: string, payload?: Uint8Array, id?: string, isAscii = false, isReceipt = false) {
    this.id = id
    this.isAscii = isAscii && payload === undefined
    this.isReceipt = isReceipt
    this.text = payload === undefined ? json : undefined
    this.record = payload === undefined ? undefined : encodeRecord(json, payload)
    this.bytes = this.record?.length ?? (isAscii ? json.length : Buffer.byteLength(json))
  }

  /** All that a receipt holds is ASCII: numbers, ids, and names of streams and queues. */
  static receipt(json: string): Encoded {
    return new Encoded(json, undefined, undefined, true, true)
  }
}
