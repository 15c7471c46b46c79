import type { ConnectionInfo, SubscriptionInfo } from '../../shared/sys.ts'
import { bytes, counted, duration } from './format.ts'

/** How long an outbox must be non-empty before it is worth mentioning, in milliseconds. */
const LAGS_MS = 1000

/** Maximum number of sentences about a connection. */
const MAX_SENTENCES = 4

/** A connection counts as losing messages if it lost some within this time, in milliseconds. */
const LATELY_MS = 60_000

/** The state of a connection: `well`, `slow`, or `losing` if it lost messages recently. */
export type Health = 'well' | 'slow' | 'losing'

export function health(info: ConnectionInfo, now: number): Health {
  if (info.droppedAt !== undefined && now - info.droppedAt < LATELY_MS) return 'losing'
  return isSlow(info) ? 'slow' : 'well'
}

function isSlow({ lagMs, outboxBytes, outboxLimitBytes }: ConnectionInfo): boolean {
  return lagMs >= LAGS_MS || outboxBytes > outboxLimitBytes / 2
}

/** The state of a connection and its reasons, in sentences. */
export function stateOf(info: ConnectionInfo, now: number): string {
  const { subscriptions, outboxBytes, outboxLimitBytes, lagMs, droppedTotal, droppedAt } = info
  const sentences: string[] = []
  const losing = subscriptions.filter(({ droppedTotal }) => droppedTotal > 0)
  losing.sort((a, b) => b.droppedTotal - a.droppedTotal)
  if (isSlow(info)) {
    const cause = losing[0] ?? subscriptions[0]
    const slower = cause
      ? `it reads ${cause.pattern} more slowly than messages are published`
      : 'it reads more slowly than messages arrive'
    const since = lagMs > 0 ? `, non-empty for ${duration(lagMs)}` : ''
    sentences.push(`Its outbox holds ${bytes(outboxBytes)} of ${bytes(outboxLimitBytes)}${since}: ${slower}.`)
  }
  for (const { pattern, policy, droppedTotal } of losing.slice(0, 2)) {
    sentences.push(`The policy ${policy} dropped ${counted(droppedTotal, 'message')} of ${pattern}.`)
  }
  if (losing.length > 2) sentences.push(`${counted(losing.length - 2, 'more subscription')} also lost messages.`)
  if (losing.length === 0 && droppedTotal > 0) sentences.push(`${counted(droppedTotal, 'message')} dropped.`)
  if (droppedAt !== undefined && now - droppedAt >= LATELY_MS)
    sentences.push(`The last drop was ${duration(now - droppedAt)} ago.`)
  for (const each of subscriptions) if (each.behind || each.paused) sentences.push(heldBack(each))
  return sentences.length === 0 ? 'Keeping up.' : sentences.slice(0, MAX_SENTENCES).join(' ')
}

function heldBack({ pattern, stream, paused }: SubscriptionInfo): string {
  if (paused) return `The client has paused ${pattern}.`
  return `${pattern} is catching up from the stream ${stream ?? ''}.`
}
