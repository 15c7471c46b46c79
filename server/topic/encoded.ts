import { Buffer } from 'node:buffer'
import { encodeRecord } from '../../shared/codec.ts'

/**
 * A frame in wire format: JSON text, or a record of a binary message. Encoded once and shared by all receivers. Several receipts
 * can be merged into one frame, because each publish has one and they all go to the same connection.
 */
export class Encoded {
  text: string | undefined
  readonly record: Uint8Array | undefined
  bytes: number
  /** The message id, if it is a message: a gap names the first and the last message that it stands for. */
  readonly id: string | undefined
  /** Whether it is text in which each character is known to be one byte. */
  readonly isAscii: boolean
  /** Number of receipts, if it consists of receipts: they are a list without brackets. */
  receipts = 0

  /** With a payload, `json` is the header of a binary record; without one, bytes are a complete record. */
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

  /** A receipt is always ASCII: numbers, ids, and names of streams and queues. */
  static receipt(json: string): Encoded {
    const encoded = new Encoded(json, undefined, undefined, true)
    encoded.receipts = 1
    return encoded
  }

  /** Appends another receipt. */
  addReceipt(json: string): void {
    this.text += `,${json}`
    this.bytes += json.length + 1
    this.receipts++
  }
}
