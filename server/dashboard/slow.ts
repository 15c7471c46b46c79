import type { ConnectionInfo, SubscriptionInfo } from '../../shared/sys.ts'
import { bytes, counted, duration } from './format.ts'

/** For how long an outbox is not empty before it is worth mentioning, in milliseconds. */
const LAGS_MS = 1000

/** Maximum number of sentences about a connection. */
const MAX_SENTENCES = 4

/** A connection that lost messages in this time loses them, in milliseconds. */
const LATELY_MS = 60_000

/** How a connection does: `well` needs no look, `slow` does, `losing` has lost messages lately. */
export type Health = 'well' | 'slow' | 'losing'

export function health(info: ConnectionInfo, now: number): Health {
  if (info.droppedAt !== undefined && now - info.droppedAt < LATELY_MS) return 'losing'
  return isSlow(info) ? 'slow' : 'well'
}

function isSlow({ lagMs, outboxBytes, outboxLimitBytes }: ConnectionInfo): boolean {
  return lagMs >= LAGS_MS || outboxBytes > outboxLimitBytes / 2
}

/** How a connection does and why, in sentences. */
export function stateOf(info: ConnectionInfo, now: number): string {
  const { subscriptions, outboxBytes, outboxLimitBytes, lagMs, droppedTotal, droppedAt } = info
  const sentences: string[] = []
  const losing = subscriptions.filter(({ droppedTotal }) => droppedTotal > 0)
  losing.sort((a, b) => b.droppedTotal - a.droppedTotal)
  if (isSlow(info)) {
    const cause = losing[0] ?? subscriptions[0]
    const slower = cause ? `it reads slower than ${cause.pattern} is published` : 'it reads slower than messages arrive'
    const since = lagMs > 0 ? `, and has not been empty for ${duration(lagMs)}` : ''
    sentences.push(`Its outbox holds ${bytes(outboxBytes)} of ${bytes(outboxLimitBytes)}${since}: ${slower}.`)
  }
  for (const { pattern, policy, droppedTotal } of losing.slice(0, 2)) {
    sentences.push(`The policy ${policy} dropped ${counted(droppedTotal, 'message')} of ${pattern}.`)
  }
  if (losing.length > 2) sentences.push(`${counted(losing.length - 2, 'more subscription')} lost messages.`)
  if (losing.length === 0 && droppedTotal > 0) sentences.push(`${counted(droppedTotal, 'message')} dropped.`)
  if (droppedAt !== undefined && now - droppedAt >= LATELY_MS)
    sentences.push(`That was ${duration(now - droppedAt)} ago.`)
  for (const each of subscriptions) if (each.behind || each.paused) sentences.push(heldBack(each))
  return sentences.length === 0 ? 'It keeps up.' : sentences.slice(0, MAX_SENTENCES).join(' ')
}

function heldBack({ pattern, stream, paused }: SubscriptionInfo): string {
  if (paused) return `Its client has paused ${pattern}.`
  return `${pattern} is read from the stream ${stream ?? ''} until it has caught up.`
}
