import { type Entry, type FinalState, judge, type Verdict } from '../rounds/checker.ts'

/** Judges what the clients of a cluster have noted, and what is in Redis at the end. */
export function judgeAll(history: readonly Entry[], end: FinalState, readers: readonly string[]): Verdict {
  const verdict = judge(history, end)
  const { orders } = end
  const unread = readers.flatMap((reader) => {
    const read = new Set(history.flatMap(({ act, by, id }) => (act === 'read' && by === reader ? [id] : [])))
    return orders.filter(({ id }) => !read.has(id)).map(({ id }) => `${reader} never read ${id}`)
  })
  const sent = new Set(history.flatMap(({ act, id }) => (act === 'sent' ? [id] : [])))
  const unsent = orders.filter(({ id }) => !sent.has(`mail.${id}`)).map(({ id }) => `mail.${id}`)
  return {
    ...verdict,
    lost: [...verdict.lost, ...unsent],
    doubled: [...verdict.doubled, ...afterAck(history)],
    unread: [...verdict.unread, ...unread],
  }
}

/** Messages whose ack was confirmed, and that came again. */
function afterAck(history: readonly Entry[]): string[] {
  const acked = new Map<string, string>()
  return history.flatMap(({ act, by, id = '', attempt, at = 0 }) => {
    if (act === 'acked') acked.set(id, `${by} at ${at}`)
    const isAgain = (act === 'handled' || act === 'sent') && acked.has(id)
    return isAgain ? [`${id} came to ${by}, attempt ${attempt} at ${at}, after its ack by ${acked.get(id)}`] : []
  })
}

/** The longest time without an acknowledgement, of any of the publishers, that began or ended in this time. */
export function longestOutage(history: readonly Entry[], from: number, to: number): number {
  const publishers = new Map<string, number>()
  let longest = 0
  for (const { act, by, at = 0 } of history) {
    if (act !== 'acknowledged' || at > to) continue
    const before = publishers.get(by) ?? at
    publishers.set(by, at)
    if (at > from) longest = Math.max(longest, at - before)
  }
  return longest
}
