import { FanfareError } from '../../shared/errors.ts'
import { FORBIDDEN_KEY } from '../../shared/forbidden-keys.ts'
import type { PublishFrame } from '../../shared/frames.ts'
import type { Position } from '../../shared/streams.ts'
import type { Kept } from '../broker/broker.ts'
import type { Asker } from '../topic/publication.ts'
import type { ConnectionContext } from './context.ts'
import type { Outbox } from './outbox.ts'

/** What one connection publishes, and its window: how much of it may be without an answer. What it asks counts too. */
export class Publishes implements Asker {
  /** Without the duplicates. */
  total = 0
  private readonly context: ConnectionContext
  /** What the connection is to the broker. */
  private readonly owner: object
  private readonly outbox: Outbox
  private readonly refuse: (error: unknown, frame: unknown) => void
  private unanswered = 0

  constructor(
    context: ConnectionContext,
    owner: object,
    outbox: Outbox,
    refuse: (error: unknown, frame: unknown) => void,
  ) {
    this.context = context
    this.owner = owner
    this.outbox = outbox
    this.refuse = refuse
  }

  publish(frame: PublishFrame, publisher: string | undefined): void {
    this.take()
    try {
      this.context.topics.publish(frame, publisher, this.owner, this)
    } catch (error) {
      this.answered(1)
      throw error
    }
  }

  /** Takes a place in the window. Throws `window_exceeded`. */
  take(): void {
    const { window } = this.context.config
    if (this.unanswered >= window) throw new FanfareError('window_exceeded', `The window is ${window}`)
    this.unanswered++
  }

  /** So many places are free again. */
  answered(count: number): void {
    this.unanswered -= count
  }

  published({ seq }: PublishFrame, id: string, kept: Kept | undefined): void {
    if (!kept?.duplicate) this.total++
    // Its place is free when the socket has it.
    this.outbox.sendEncoded(encodeReceipt(seq, id, kept))
  }

  notPublished(frame: PublishFrame, error: FanfareError): void {
    this.answered(1)
    if (error.code === 'waiting_limit') this.context.traffic.limitHits.waitingPublishBytes++
    this.refuse(error, frame)
  }
}

/** By hand, because it is the hot path: ids, names of streams and epochs hold nothing that JSON escapes. */
function encodeReceipt(seq: number, id: string, kept: Kept | undefined): string {
  let json = `{"type":"receipt","seq":${seq},"id":"${id}"`
  if (kept) {
    const { positions } = kept
    let comma = ''
    json += ',"positions":{'
    for (const name in positions) {
      // An earlier hub may have declared a stream of that name.
      if (name === FORBIDDEN_KEY) continue
      const { epoch, offset } = positions[name] as Position
      json += `${comma}"${name}":{"epoch":"${epoch}","offset":${offset}}`
      comma = ','
    }
    json += '}'
  }
  if (kept && kept.queues.length > 0) json += `,"queues":["${kept.queues.join('","')}"]`
  return kept?.duplicate ? `${json},"duplicate":true}` : `${json}}`
}
