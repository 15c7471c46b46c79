import type { LimitConfig, LimitName } from './limits.ts'
import { Rate } from './rate.ts'

/** Frames beyond a limit that are refused one by one, in seconds' worth of it; whoever goes on loses the connection. */
const PATIENCE_SECONDS = 10

/** Rates of frames and of bytes. */
interface Rates {
  readonly messages: Rate | undefined
  readonly bytes: Rate | undefined
}

/** What each connection may send, and all of one identity together. */
export class MessageLimits {
  private readonly config: LimitConfig
  private readonly identities = new Map<string, Rates & { connections: number }>()

  constructor(config: LimitConfig) {
    this.config = config
  }

  /** For a new connection; undefined where there is no limit, so that nothing is counted. */
  forConnection(): Allowance | undefined {
    const own = this.rates('messagesPerSecond', 'bytesPerSecond')
    const { identityMessagesPerSecond, identityBytesPerSecond } = this.config
    if (!own.messages && !own.bytes && identityMessagesPerSecond + identityBytesPerSecond === 0) return undefined
    return new Allowance(own)
  }

  /** What this connection may send is from now on shared with all others of the subject. */
  join(allowance: Allowance, subject: string): void {
    if (allowance.subject === subject) return
    this.leave(allowance)
    let rates = this.identities.get(subject)
    if (!rates) {
      rates = { ...this.rates('identityMessagesPerSecond', 'identityBytesPerSecond'), connections: 0 }
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
    if (rates && --rates.connections === 0) this.identities.delete(subject as string)
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
  /** It went far beyond a limit, and for long. */
  flooding = false
  private readonly own: Rates
  private readonly patience = new Map<LimitName, Rate>()

  constructor(own: Rates) {
    this.own = own
  }

  /** Of so many frames in one WebSocket message the first so many are within the limits: bytes are counted for all or none. */
  take(frames: number, bytes: number): number {
    this.exceeded = undefined
    const { own, shared } = this
    for (const rate of [own.bytes, shared?.bytes]) {
      if (!rate || rate.take(bytes)) continue
      this.exceeded = rate.limit
      this.spend(rate, bytes)
      return 0
    }
    let within = frames
    for (const rate of [own.messages, shared?.messages]) {
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
