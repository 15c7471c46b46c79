import type { Delivery } from '../../client/delivery.ts'
import type { Message } from '../../client/message.ts'
import { pick, type Random, whole } from '../fuzz/random.ts'
import { ODD, type Odd } from '../setup/odd-arguments.ts'
import { once, topic } from './arguments.ts'
import { pause } from './promises.ts'

/** What the driver's own callbacks throw, which may become an uncaught exception. */
export const OWN_FAULT = 'thrown by the driver'

const ODDS = Object.values(ODD) as Odd[]

/** A message that asks whether there is a subscriber. */
export function probeOf(data: unknown): number | undefined {
  const probe = (data as { probe?: unknown } | null | undefined)?.probe
  return typeof probe === 'number' ? probe : undefined
}

export function maybeThrow(random: Random, times: number): void {
  if (once(random, times)) throw new Error(OWN_FAULT)
}

/** What handlers of all kinds do: mostly nothing, at times they wait or fail. */
export function work(random: Random): unknown {
  if (once(random, 20)) throw new Error(OWN_FAULT)
  if (once(random, 40)) throw pick(random, ODDS)
  if (once(random, 30)) return pause(whole(random, 10))
  if (once(random, 40)) return pause(whole(random, 5)).then(() => maybeThrow(random, 2))
  return undefined
}

export async function skipOrRetry(random: Random, message: Message | undefined, attempt = 0): Promise<unknown> {
  if (message && once(random, 3)) await pause(whole(random, 3))
  return message && attempt < 3 && once(random, 2) ? 'retry' : undefined
}

/** Consumes a delivery by hand; its promises are the caller's to watch. */
export function settle(random: Random, delivery: Delivery): Promise<void> {
  const kind = whole(random, 8)
  if (kind === 0) return delivery.nack({ delay: whole(random, 20), error: new Error('later') })
  if (kind === 1) return delivery.reject(new Error('never'))
  if (kind === 2) return delivery.ack({ publish: [{ topic: topic(random), data: 1 }] })
  return delivery.ack()
}

/** As code without a compiler would; it may be refused, and settle nothing. */
export function settleOddly(random: Random, delivery: Delivery): unknown {
  const odd = pick(random, ODDS)
  const kind = whole(random, 4)
  if (kind === 0) return delivery.ack({ publish: odd })
  if (kind === 1) return delivery.nack(odd)
  if (kind === 2) return delivery.reject(odd)
  return delivery.extend(odd)
}
