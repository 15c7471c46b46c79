import type { GapFrame, GapReason } from '../../shared/frames.ts'
import type { Subscription } from '../topic/subscription.ts'

/** Messages dropped for one subscription at one place, for one reason. */
export interface PendingGap {
  readonly subscription: Subscription
  readonly reason: GapReason
  /** 0 if the number and the messages are unknown. */
  count: number
  from: string
  to: string
}

/** A sequence of messages as a gap reports it. */
export interface MessageSpan {
  readonly count: number
  readonly from: string
  readonly to: string
}

export function gapOf(subscription: Subscription, { count, from, to }: MessageSpan, reason: GapReason): PendingGap {
  return { subscription, reason, count, from, to }
}

/** Adds gaps that come right before (`'before'`) or right after those in `gaps`; adjacent gaps of one kind are merged. */
export function mergeGaps(gaps: PendingGap[], added: readonly PendingGap[], where: 'before' | 'after'): void {
  for (const gap of added) {
    const same = gaps.find((other) => other.subscription === gap.subscription && other.reason === gap.reason)
    if (!same) {
      if (where === 'before') gaps.unshift(gap)
      else gaps.push(gap)
      continue
    }
    same.count += gap.count
    if (where === 'before') same.from = gap.from
    else same.to = gap.to
  }
}

/** A gap for messages that were lost on the way to this node. */
export function linkGap(subscription: Subscription): PendingGap {
  return gapOf(subscription, { count: 0, from: '', to: '' }, 'link')
}

export function gapFrame(gap: PendingGap): GapFrame {
  const { count, from, to, reason } = gap
  const span = count === 0 ? {} : { count, from, to }
  return { type: 'gap', sub: gap.subscription.sub, ...span, reason }
}
