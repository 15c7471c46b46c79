import type { Part } from '../../server/engine/batch.ts'
import { decodeBinary, decodeText } from '../../shared/codec.ts'
import type { Frame, GapFrame, HubFrame } from '../../shared/frames.ts'
import { parseFrame } from '../../shared/parse-frame.ts'
import { matchesPattern, parsePattern } from '../../shared/topic.ts'

/** One subscription as its client sees it: the messages by their ids, and the gaps, in the order of the wire. */
export class ModelSubscription {
  readonly seen: (string | GapFrame)[] = []
  readonly words: readonly string[]
  paused = false

  constructor(pattern: string) {
    this.words = parsePattern(pattern)
  }
}

/** Reads the wire as PROTOCOL.md says, in the plainest way. */
export class ModelClient {
  /** All frames that are neither message nor gap, scope or check. */
  readonly controls: HubFrame[] = []
  /** Checks that have not been answered. */
  readonly checks: number[] = []
  /** Frames of messages, each once however many subscriptions it is for. */
  messages = 0
  private readonly requested: ModelSubscription[] = []
  private readonly live = new Map<number, ModelSubscription>()

  /** The hub confirms subscriptions in the order in which they were requested. */
  subscribe(pattern: string): ModelSubscription {
    const subscription = new ModelSubscription(pattern)
    this.requested.push(subscription)
    return subscription
  }

  receive({ payload, binary }: Part): void {
    const values = binary ? decodeBinary(payload) : decodeText(Buffer.from(payload).toString())
    let only: number | undefined
    for (const [place, value] of values.entries()) {
      const frame = parseFrame(value)
      if (frame.type !== 'only') this.take(frame, only)
      else if (place === 0) only = frame.sub
      else throw new Error('"only" is not the first frame of its WebSocket message')
    }
  }

  private take(frame: Frame, only: number | undefined): void {
    if (frame.type === 'message') {
      this.messages++
      const words = frame.topic.split('.')
      for (const [sub, subscription] of this.live) {
        const wanted = only === undefined ? !subscription.paused : sub === only
        if (wanted && matchesPattern(subscription.words, words)) subscription.seen.push(frame.id)
      }
    } else if (frame.type === 'check') {
      this.checks.push(frame.n)
    } else if (frame.type === 'gap') {
      this.known(frame.sub).seen.push(frame)
    } else {
      this.answered(frame as HubFrame)
      this.controls.push(frame as HubFrame)
    }
  }

  private answered(frame: HubFrame): void {
    if (frame.type === 'subscribed') this.live.set(frame.sub, this.requested.shift() as ModelSubscription)
    else if (frame.type === 'unsubscribed') this.live.delete(frame.sub)
    else if (frame.type === 'paused') this.known(frame.sub).paused = true
    else if (frame.type === 'resumed') this.known(frame.sub).paused = false
  }

  private known(sub: number): ModelSubscription {
    const subscription = this.live.get(sub)
    if (!subscription) throw new Error(`A frame names subscription ${sub}, which is not confirmed`)
    return subscription
  }
}
