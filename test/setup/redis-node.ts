import { pino } from 'pino'
import { onTestFinished } from 'vitest'
import type { BrokerEvents } from '../../server/broker/broker.ts'
import { Keys } from '../../server/broker/redis/keys.ts'
import { type Argument, BrokerLink } from '../../server/broker/redis/link.ts'
import { STATE } from '../../server/broker/redis/lua/reads.ts'
import { RedisBroker } from '../../server/broker/redis/redis-broker.ts'
import { redisAddress } from '../../server/bus/redis/redis-address.ts'
import { eventsWith } from './drafts.ts'

interface NodeOptions {
  /** That are waited for. */
  readonly replicas?: number
  readonly events?: Partial<BrokerEvents>
}

const SILENT = pino({ enabled: false })

/** The broker of one node, until the test ends. */
export async function brokerAt(url: string, options: NodeOptions = {}): Promise<RedisBroker> {
  return brokerOn(linkTo(url, options), options)
}

/** A way of a node to Redis. */
export function linkTo(url: string, { replicas = 0 }: NodeOptions = {}): HeldLink {
  return new HeldLink(redisAddress(url), new Keys('test'), replicas > 0, SILENT)
}

/** The same on a link that the test has. */
export async function brokerOn(
  link: BrokerLink,
  { replicas = 0, events = {} }: NodeOptions = {},
): Promise<RedisBroker> {
  const options = { name: 'test', dedupWindowMs: 60_000, dedupIds: 1000, replicas, durability: 'relaxed' } as const
  const broker = new RedisBroker(link, options, SILENT)
  onTestFinished(() => broker.close())
  await broker.open(eventsWith(events))
  return broker
}

/** A link on which the state can be late. */
export class HeldLink extends BrokerLink {
  private isHeld = false
  private said: (release: () => void) => void = () => {}

  /** The next state is held. Resolves once Redis has said it, to what lets it through. */
  holdState(): Promise<() => void> {
    this.isHeld = true
    return new Promise((resolve) => {
      this.said = resolve
    })
  }

  override async read(script: string, args: readonly Argument[]): Promise<unknown> {
    const answer = await super.read(script, args)
    if (script === STATE && this.isHeld) {
      this.isHeld = false
      await new Promise<void>((release) => this.said(release))
    }
    return answer
  }
}
