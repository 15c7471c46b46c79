import type { ConnectionInfo, SubscriptionInfo } from '../../shared/sys.ts'
import { bytes, count, duration } from './format.ts'

/** For how long an outbox is not empty before it is worth a word, in milliseconds. */
const LAGS_MS = 1000

/** How a connection gets on: `well` needs no look, `slow` does, `losing` has lost something. */
export type Health = 'well' | 'slow' | 'losing'

export function health({ lagMs, outboxBytes, outboxLimitBytes, droppedTotal }: ConnectionInfo): Health {
  if (droppedTotal > 0) return 'losing'
  return lagMs >= LAGS_MS || outboxBytes > outboxLimitBytes / 2 ? 'slow' : 'well'
}

/** Who is slow, and why, in words. */
export function whySlow(info: ConnectionInfo): string {
  const parts: string[] = []
  const losing = info.subscriptions.filter(({ droppedTotal }) => droppedTotal > 0)
  losing.sort((a, b) => b.droppedTotal - a.droppedTotal)
  if (info.lagMs >= LAGS_MS || info.outboxBytes > info.outboxLimitBytes / 2) {
    const cause = losing[0] ?? info.subscriptions[0]
    const slower = cause ? `reads slower than ${cause.pattern} comes` : 'reads slower than its deliveries come'
    parts.push(
      `holds ${bytes(info.outboxBytes)} of ${bytes(info.outboxLimitBytes)} for ${duration(info.lagMs)}, ${slower}`,
    )
  }
  for (const { pattern, policy, droppedTotal } of losing.slice(0, 2)) {
    parts.push(`${policy} left out ${count(droppedTotal)} of ${pattern}`)
  }
  if (losing.length > 2) parts.push(`and of ${losing.length - 2} more`)
  if (losing.length === 0 && info.droppedTotal > 0) parts.push(`${count(info.droppedTotal)} were left out`)
  for (const each of info.subscriptions) if (each.behind || each.paused) parts.push(state(each))
  return parts.length === 0 ? 'keeps up' : parts.slice(0, 4).join('; ')
}

function state({ pattern, stream, paused }: SubscriptionInfo): string {
  if (paused) return `its client has asked to hold ${pattern} back`
  return `${pattern} is fed from the stream ${stream ?? ''} until it has caught up`
}
