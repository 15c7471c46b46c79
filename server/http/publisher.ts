import { setImmediate as nextTurn } from 'node:timers/promises'
import { FanfareError } from '../../shared/errors.ts'
import { withNearest } from '../admin/nearest.ts'
import type { Access } from '../auth/access.ts'
import type { Broker } from '../broker/broker.ts'
import type { FrameTime } from '../connection/frame-time.ts'
import { nameIn } from '../connection/refusal.ts'
import type { UnexpectedErrors } from '../failure/unexpected-errors.ts'
import type { Admission } from '../limit/admission.ts'
import { exceeded, type LimitName } from '../limit/limits.ts'
import type { Allowance, MessageLimits } from '../limit/message-limits.ts'
import type { Traffic } from '../monitor/traffic.ts'
import type { Queues } from '../queue/queues.ts'
import type { Streams } from '../stream/streams.ts'
import { receiptFields } from '../topic/receipt.ts'
import type { Topics } from '../topic/topics.ts'
import { type Refusal, refusalOf } from './problem.ts'
import { publishFrameOf } from './publish-fields.ts'

/** Refusals of a request with a detail: a response must not be far larger than its request, nor its names compared too often. */
export const EXPLAINED = 100

/** The outcome of a publish: its receipt as JSON, or the refusal. */
export type Result = { readonly receipt: string } | { readonly refusal: Refusal }

/** A request that publishes. */
export interface PublishRequest {
  readonly address: string
  readonly access: Access
  /** Size of its address and body. */
  readonly bytes: number
  /** Aborted when the client disconnects. */
  readonly signal: AbortSignal
}

/** What publishing over HTTP needs from the hub. */
export interface HttpPublisherParts {
  readonly topics: Pick<Topics, 'publish'>
  readonly streams: Streams
  readonly queues: Queues
  readonly broker: Pick<Broker, 'withdraw'>
  readonly admission: Admission
  readonly limits: MessageLimits
  readonly traffic: Traffic
  readonly frameTime: FrameTime
  readonly unexpected: UnexpectedErrors
  /** Maximum unanswered publishes of a request: as many as a connection may have. */
  readonly window: number
  /** Whether the hub accepts connections. */
  accepts(): boolean
}

/**
 * Publishes over HTTP. For the limits, a request is like a connection with one message: while it lasts, it takes a place among the
 * connections of the hub and of its address, and its publishes count together as frames of its identity.
 */
export class HttpPublisher {
  private readonly parts: HttpPublisherParts
  private readonly open = new Set<PublishingRequest>()

  constructor(parts: HttpPublisherParts) {
    this.parts = parts
  }

  /**
   * Resolves when all publishes are durable or refused, with results in the given order; `items` are publishes as people write
   * them. Rejects with `shutting_down`, `hub_full`, `address_limit`, and with `flooding` if nothing was published because it is far
   * beyond a limit.
   */
  async publish(items: readonly unknown[], request: PublishRequest): Promise<Result[]> {
    const { admission, traffic, accepts } = this.parts
    const { address, bytes, signal } = request
    if (!accepts()) throw new FanfareError('shutting_down')
    admission.require(address)
    admission.opened(address)
    traffic.bytesIn += bytes
    const publishing = new PublishingRequest(this.parts, request)
    const stop = () => publishing.stop()
    signal.addEventListener('abort', stop)
    this.open.add(publishing)
    try {
      return await publishing.publish(items)
    } finally {
      signal.removeEventListener('abort', stop)
      this.open.delete(publishing)
      admission.closed(address)
    }
  }

  /** The hub closes: publishes nothing more, and refuses publishes that wait for space in a queue. Those that are being stored are answered. */
  stop(): void {
    for (const publishing of this.open) publishing.stop()
  }
}

/** The publishes of one request. For the broker it is like a connection. */
class PublishingRequest {
  private readonly parts: HttpPublisherParts
  private readonly request: PublishRequest
  private refusals = 0
  private stopped = false

  constructor(parts: HttpPublisherParts, request: PublishRequest) {
    this.parts = parts
    this.request = request
  }

  /** Throws `flooding`. */
  async publish(items: readonly unknown[]): Promise<Result[]> {
    const { frameTime, window } = this.parts
    const allowance = this.takeAllowance(items.length)
    const within = allowance?.within ?? items.length
    const results: Result[] = []
    for (let from = 0; from < items.length; from += window) {
      const open: Promise<Result>[] = []
      for (let at = from; at < Math.min(from + window, items.length); at++) {
        // Frames of connections and these publishes share the time of a turn.
        if (!frameTime.left) await nextTurn()
        open.push(at < within ? this.publishOne(items[at], at) : this.refuseBeyond(allowance?.exceeded as LimitName))
        frameTime.used()
      }
      results.push(...(await Promise.all(open)))
      // Publishes that are refused immediately take no turn of their own: very many of them would hold up everything else.
      if (from + window < items.length) await nextTurn()
    }
    return results
  }

  /**
   * Publishes nothing more. Publishes that wait for space in a queue are refused with `connection_lost`; those that are being
   * stored are stored.
   */
  stop(): void {
    if (this.stopped) return
    this.stopped = true
    const { broker, unexpected } = this.parts
    unexpected.run('http', () => broker.withdraw(this))
  }

  private takeAllowance(count: number): Allowance | undefined {
    const { limits } = this.parts
    const { access, bytes } = this.request
    const allowance = limits.forConnection()
    if (!allowance) return undefined
    if (!access.anonymous) limits.join(allowance, access.subject)
    allowance.take(count, bytes)
    limits.leave(allowance)
    if (!allowance.flooding) return allowance
    const error = new FanfareError('flooding', `The limit ${allowance.exceeded} was exceeded for too long. Send less.`)
    this.refused(error)
    throw error
  }

  private publishOne(item: unknown, seq: number): Promise<Result> {
    return new Promise((resolve) => {
      try {
        if (this.stopped) throw new FanfareError('connection_lost')
        const frame = publishFrameOf(item, seq)
        const { access } = this.request
        access.require('publish', frame.topic)
        this.parts.topics.publish(frame, access.publisher, this, {
          published: (_, id, kept) => resolve({ receipt: `{${receiptFields(id, kept)}}` }),
          notPublished: (_, error) => resolve({ refusal: this.refused(error, item) }),
        })
      } catch (error) {
        resolve({ refusal: this.refused(error, item) })
      }
    })
  }

  private async refuseBeyond(limit: LimitName): Promise<Result> {
    const { address, access } = this.request
    this.parts.traffic.hit(limit, { address, subject: access.subject })
    return { refusal: this.refused(new FanfareError('rate_limited', exceeded(limit))) }
  }

  /** Counts a refusal, and names what was probably meant. A bug costs the publish that met it. */
  private refused(thrown: unknown, about?: unknown): Refusal {
    const { traffic, unexpected } = this.parts
    if (thrown instanceof FanfareError) traffic.refused(thrown.code)
    else unexpected.report('http', thrown)
    if (++this.refusals > EXPLAINED) return refusalOf(thrown)
    return refusalOf(withNearest(thrown, { name: nameIn(about) }, this.parts, this.request.access))
  }
}
