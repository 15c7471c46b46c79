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

  /** With a payload, `json` is the header of a binary record; what is bytes already is a record. */
  constructor(json: string | Uint8Array, payload?: Uint8Array, id?: string, isAscii = false, isReceipt = false) {
    this.id = id
    this.isReceipt = isReceipt
    if (typeof json === 'string' && payload === undefined) {
      this.text = json
      this.record = undefined
      this.bytes = isAscii ? json.length : Buffer.byteLength(json)
      this.isAscii = isAscii
    } else {
      this.text = undefined
      this.record = typeof json === 'string' ? encodeRecord(json, payload as Uint8Array) : json
      this.bytes = this.record.length
      this.isAscii = false
    }
  }

  /** All that a receipt holds is ASCII: numbers, ids, and names of streams and queues. */
  static receipt(json: string): Encoded {
    return new Encoded(json, undefined, undefined, true, true)
  }
}
