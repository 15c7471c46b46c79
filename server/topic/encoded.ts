import { Buffer } from 'node:buffer'
import { encodeRecord } from '../../shared/codec.ts'

/**
 * A frame as it goes over the wire: JSON text, or a record of a binary message. Made once, shared by all who get it. Receipts may be several
 * in one, since each publish has one and they all go to the same connection.
 */
export class Encoded {
  text: string | undefined
  readonly record: Uint8Array | undefined
  bytes: number
  /** Of the message, where it is one: a gap names the first and the last that it stands for. */
  readonly id: string | undefined
  /** It is text, and each of its characters is known to be one byte. */
  readonly isAscii: boolean
  /** How many receipts it is, if it is that: they are a list without its brackets. */
  receipts = 0

  /** With a payload, `json` is the header of a binary record; what is bytes already is a record. */
  constructor(json: string | Uint8Array, payload?: Uint8Array, id?: string, isAscii = false) {
    this.id = id
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
    const encoded = new Encoded(json, undefined, undefined, true)
    encoded.receipts = 1
    return encoded
  }

  /** Adds a receipt to those that it is. */
  addReceipt(json: string): void {
    this.text += `,${json}`
    this.bytes += json.length + 1
    this.receipts++
  }
}
