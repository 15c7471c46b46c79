import { RecentMap } from '../../shared/recent-map.ts'
import type { SpentByIdentity } from '../bus/questions.ts'
import type { LimitConfig, LimitName } from './limits.ts'
import { Rate } from './rate.ts'

/** Frames beyond a limit are refused one by one up to this many seconds' worth of them; a client that continues is disconnected. */
const PATIENCE_SECONDS = 10

/** Number of most recently disconnected subjects whose rates are remembered; at most twice as many. */
const REMEMBERED = 10_000

/** The rates of frames and of bytes. */
interface Rates {
  readonly messages: Rate | undefined
  readonly bytes: Rate | undefined
}

/**
 * Limits what each connection may send, and what all connections of one identity may send together. Nodes tell each other once a
 * second what identities have sent, so an identity's limit holds on average over all nodes; for a moment each node may accept the
 * full rate.
 */
export class MessageLimits {
  private readonly config: LimitConfig
  private readonly identities = new Map<string, Rates & { connections: number }>()
  /** A client may reconnect, or publish with many requests: each new connection must not bring a full burst. */
  private readonly left = new RecentMap<string, Rates>(REMEMBERED)

  constructor(config: LimitConfig) {
    this.config = config
  }

  /** For a new connection; undefined if there is no limit, so that nothing is counted. */
  forConnection(): Allowance | undefined {
    const own = this.rates('messagesPerSecond', 'bytesPerSecond')
    const { identityMessagesPerSecond, identityBytesPerSecond } = this.config
    if (!own.messages && !own.bytes && identityMessagesPerSecond + identityBytesPerSecond === 0) return undefined
    return new Allowance(own)
  }

  /** From now on this connection shares its allowance with all others of the subject. */
  join(allowance: Allowance, subject: string): void {
    if (allowance.subject === subject) return
    this.leave(allowance)
    let rates = this.identities.get(subject)
    if (!rates) {
      rates = { ...(this.left.get(subject) ?? this.ofIdentity()), connections: 0 }
      this.left.delete(subject)
      this.identities.set(subject, rates)
    }
    rates.connections++
    allowance.subject = subject
    allowance.shared = rates
  }

  leave(allowance: Allowance): void {
    const { subject } = allowance
    const rates = subject === undefined ? undefined : this.identities.get(subject)
    allowance.subject = allowance.shared = undefined
    if (subject === undefined || !rates || --rates.connections > 0) return
    this.identities.delete(subject)
    this.left.set(subject, { messages: rates.messages, bytes: rates.bytes })
  }

  /** What identities have sent since the last call, for other nodes. */
  takeSpent(): SpentByIdentity[] {
    const { identityMessagesPerSecond, identityBytesPerSecond } = this.config
    if (identityMessagesPerSecond + identityBytesPerSecond === 0) return []
    return [...this.identities, ...this.left].flatMap(([subject, rates]) => {
      const messages = rates.messages?.takeSpent() ?? 0
      const bytes = rates.bytes?.takeSpent() ?? 0
      return messages + bytes > 0 ? [{ subject, messages, bytes }] : []
    })
  }

  /** Counts what identities have sent at another node. */
  spentElsewhere(spent: readonly SpentByIdentity[]): true {
    for (const { subject, messages, bytes } of spent) {
      let rates: Rates | undefined = this.identities.get(subject) ?? this.left.get(subject)
      if (!rates) {
        rates = this.ofIdentity()
        this.left.set(subject, rates)
      }
      rates.messages?.spentElsewhere(messages)
      rates.bytes?.spentElsewhere(bytes)
    }
    return true
  }

  private ofIdentity(): Rates {
    return this.rates('identityMessagesPerSecond', 'identityBytesPerSecond')
  }

  private rates(messages: LimitName, bytes: LimitName): Rates {
    const { config } = this
    return {
      messages: config[messages] > 0 ? new Rate(messages, config[messages]) : undefined,
      // The largest message has to fit.
      bytes: config[bytes] > 0 ? new Rate(bytes, config[bytes], config.frameBytes) : undefined,
    }
  }
}

/** What one connection may still send. */
export class Allowance {
  subject: string | undefined = undefined
  shared: Rates | undefined = undefined
  /** The limit that the last WebSocket message exceeded. */
  exceeded: LimitName | undefined = undefined
  /** The client exceeded a limit by far and for long. */
  flooding = false
  /** How many frames of the last WebSocket message, counted from its first, are within the limits. */
  within = 0
  /** What arrived before the subject was known; it counts for the identity too. */
  private early = { frames: 0, bytes: 0 }
  private readonly own: Rates
  private readonly patience = new Map<LimitName, Rate>()

  constructor(own: Rates) {
    this.own = own
  }

  /** Counts a WebSocket message and sets `within`: bytes are counted for all of its frames or for none. */
  take(frames: number, bytes: number): void {
    const { own, shared, early } = this
    if (!shared) this.early = { frames: early.frames + frames, bytes: early.bytes + bytes }
    this.exceeded = undefined
    this.within = this.takeOf([own, shared], frames, bytes)
  }

  /**
   * Counts what arrived before the subject was known against the identity. Returns how many of those frames, counted from the
   * first, are within its limits.
   */
  takeEarly(): number {
    const { shared, early } = this
    this.early = { frames: 0, bytes: 0 }
    const within = this.takeOf([shared], early.frames, early.bytes)
    this.within = Math.min(this.within, within)
    return within
  }

  private takeOf(all: readonly (Rates | undefined)[], frames: number, bytes: number): number {
    for (const rates of all) {
      const rate = rates?.bytes
      if (!rate || rate.take(bytes)) continue
      this.exceeded = rate.limit
      this.spend(rate, bytes)
      return 0
    }
    let within = frames
    for (const rates of all) {
      const rate = rates?.messages
      if (!rate) continue
      const taken = rate.takeSome(within)
      if (taken < within) {
        this.exceeded = rate.limit
        this.spend(rate, within - taken)
      }
      within = taken
    }
    return within
  }

  private spend({ limit, perSecond }: Rate, excess: number): void {
    let patience = this.patience.get(limit)
    if (!patience) {
      patience = new Rate(limit, perSecond, perSecond * PATIENCE_SECONDS)
      this.patience.set(limit, patience)
    }
    if (!patience.take(excess)) this.flooding = true
  }
}
