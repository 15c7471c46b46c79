import { TopicRecord } from './topic-record.ts'

/** Another node, as long as it is remembered: what it has an interest in, and what went to and came from it. */
export class Peer {
  readonly id: string
  readonly interests = new Set<string>()
  name = ''
  /** The number of its link: it grows with each new one. */
  link = 0
  /** It has been reported as joined. */
  isJoined = false
  /** It was asked for what it has to say, and has not answered. */
  isSyncing = false
  /** It knows this node, and gets batches. */
  isOpen = false
  /** Its batches count: what went missing before them is known. */
  isReady = false
  /** The version of its interests that is known here. */
  version = 0
  /** The version of this node's interests that it knows. */
  applied = 0
  /** The last batch of it that is here, or whose loss was reported. */
  seen = 0
  /** The last account of it that is here. */
  seenAccount = 0
  /** The last batch that was made for it. */
  sent = 0
  /** Topics of batches that it may not have. */
  unconfirmed = new TopicRecord()
  /** When it gave its last sign of life, and since when it has been away, by the clock of `performance`. */
  heardAt: number
  leftAt: number | undefined = undefined
  /** The last account that was made for it, and whether it has that one. */
  account = 0
  isAccounted = false
  /** Until when it is known that each heard all that the other said, and the version of its interests then. */
  unprovenSince: number
  provenVersion = 0

  /** `unprovenSince`: since when this node may have been cut off from it. */
  constructor(id: string, unprovenSince: number) {
    this.id = id
    this.heardAt = performance.now()
    this.unprovenSince = unprovenSince
  }

  /** Nothing is known of it. */
  get isNew(): boolean {
    return this.link === 0
  }

  /** It had something of this node, of which nothing is known any more: it may have missed everything. */
  forgetsAll(): void {
    this.unconfirmed = TopicRecord.unknown()
  }

  introduced(link: number, name: string, version: number): void {
    this.link = link
    this.name = name
    this.version = version
    this.applied = 0
    this.heardAt = performance.now()
    this.leftAt = undefined
    this.isOpen = true
  }

  leaves(unprovenSince: number): void {
    if (this.isAccounted) {
      this.unprovenSince = unprovenSince
      this.provenVersion = this.version
    }
    this.isAccounted = false
    this.leftAt ??= performance.now()
    this.isJoined = this.isSyncing = this.isOpen = this.isReady = false
  }
}
