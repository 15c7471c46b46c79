import { setTimeout as wait } from 'node:timers/promises'
import {
  type Client,
  connect,
  type Delivery,
  type FanfareError,
  type Message,
  type Position,
} from '../../../client/node.ts'
import type { Entry } from '../rounds/checker.ts'

export interface Order {
  readonly by: string
  readonly n: number
}

export type Note = (entry: Entry) => void

/** Publishes of one publisher that have no answer yet. */
const UNDER_WAY = 40
const PAUSE_MS = 15
const GROUPS = 10
/** How long a reader reads before it begins again elsewhere. */
const READ_MS = 700
/** Nothing was stored, or the outcome is unknown: the same publish may be tried again. */
const PASSING = new Set(['outcome_unknown', 'cluster_unreachable', 'connection_lost', 'request_timeout'])

export function clientAt(url: string): Client {
  return connect(url, { backoff: { base: 10, cap: 100 } })
}

const codeOf = (error: unknown) => (error as FanfareError).code ?? String(error)

/**
 * Publishes without a pause. Those with a key are published once each, so that their order is known; those without, again and again with the same id and
 * in turn on all hubs, until one is acknowledged.
 */
export class Publisher {
  /** When the newest one that was acknowledged was asked for. */
  acknowledgedTo = 0
  private readonly name: string
  private readonly clients: readonly Client[]
  private readonly note: Note
  private isStopped = false
  private readonly working: Promise<void>

  constructor(name: string, clients: readonly Client[], note: Note) {
    this.name = name
    this.clients = clients
    this.note = note
    this.working = this.publishAll()
  }

  /** Resolves when each publish has an answer. */
  stop(): Promise<void> {
    this.isStopped = true
    return this.working
  }

  private async publishAll(): Promise<void> {
    const underWay = new Set<Promise<void>>()
    for (let n = 1; !this.isStopped; n++) {
      if (underWay.size >= UNDER_WAY) await Promise.race(underWay)
      const one = this.publish(n).finally(() => underWay.delete(one))
      underWay.add(one)
      await wait(PAUSE_MS)
    }
    await Promise.all(underWay)
  }

  private async publish(n: number): Promise<void> {
    const { name: by, clients } = this
    const key = n % 5 === 0 ? undefined : `${by}.${n % GROUPS}`
    const asked = Date.now()
    this.note({ act: 'asked', by, n, at: asked })
    for (let attempt = 0; ; attempt++) {
      const client = clients[attempt % clients.length] as Client
      const options = { id: `${by}.${n}`, ...(key !== undefined && { key }) }
      const outcome = await client
        .publish('orders.new', { by, n } satisfies Order, options)
        .then(() => 'acknowledged', codeOf)
      const isKept = outcome === 'acknowledged'
      if (isKept) this.acknowledgedTo = Math.max(this.acknowledgedTo, asked)
      this.note({ act: isKept ? outcome : `refused: ${outcome}`, by, n, at: Date.now() })
      if (isKept || key !== undefined || outcome === 'client_closed') return
      if (!PASSING.has(outcome)) throw new Error(`publish ended with ${outcome}`)
    }
  }
}

/** Reads the stream from its beginning, for all of the time. */
export async function follow(by: string, client: Client, note: Note): Promise<void> {
  const read = ({ data: { by: publisher, n }, offsets }: Message<Order>) =>
    note({ act: 'read', by, id: `${publisher}.${n}`, offset: offsets?.['orders'] as number })
  await client.subscribe<Order>('orders.#', read, {
    stream: 'orders',
    from: 'earliest',
    onGap: (gap) => note({ act: 'gap', by, gap }),
  }).ready
}

/** Reads the stream for a while, ends, and goes on from where it was on the next hub. */
export class ResumingReader {
  private isStopped = false
  private readonly working: Promise<void>
  private readonly by: string
  private readonly clients: readonly Client[]
  private readonly note: Note
  /** It has read up to here. */
  next = 0

  constructor(by: string, clients: readonly Client[], note: Note) {
    this.by = by
    this.clients = clients
    this.note = note
    this.working = this.readAll()
  }

  stop(): Promise<void> {
    this.isStopped = true
    return this.working
  }

  private async readAll(): Promise<void> {
    const { by, note } = this
    const { epoch } = await (this.clients[0] as Client).admin.streams.show('orders')
    for (let turn = 0; !this.isStopped; turn++) {
      const from: Position = { epoch, offset: this.next }
      const client = this.clients[turn % this.clients.length] as Client
      const read = ({ data: { by: publisher, n }, offsets }: Message<Order>) => {
        const offset = offsets?.['orders'] as number
        note({ act: 'read', by, id: `${publisher}.${n}`, offset })
        this.next = offset + 1
      }
      const onGap = (gap: { readonly reason: string }) => note({ act: 'gap', by, gap })
      const subscription = client.subscribe<Order>('orders.#', read, { stream: 'orders', from, onGap })
      await subscription.ready
      await wait(READ_MS)
      await subscription.unsubscribe()
    }
  }
}

/** Consumes `work`: each order becomes an invoice in the step that acks it. Some fail once. */
export function work(by: string, client: Client, note: Note): void {
  const handle = async (delivery: Delivery<Order>) => {
    const { data, attempt, message } = delivery
    const id = `${data.by}.${data.n}`
    note({ act: 'handled', by, id, attempt, at: Date.now() })
    await wait(data.n % 7)
    if (data.n % 50 === 1 && attempt === 1) throw new Error('the first attempt fails')
    // Without an id: nothing but the lease keeps it from coming twice.
    await delivery.ack({
      publish: [{ topic: 'invoices.made', data, ...(message.key !== undefined && { key: message.key }) }],
    })
    note({ act: 'acked', by, id, at: Date.now() })
  }
  consume(by, 'work', client, note, handle)
}

/** Consumes `mail`, which has no groups that matter and no chain. */
export function send(by: string, client: Client, note: Note): void {
  const handle = async (delivery: Delivery<Order>) => {
    const id = `mail.${delivery.data.by}.${delivery.data.n}`
    note({ act: 'sent', by, id, attempt: delivery.attempt, at: Date.now() })
    await delivery.ack()
    note({ act: 'acked', by, id, at: Date.now() })
  }
  consume(by, 'mail', client, note, handle)
}

function consume(
  by: string,
  queue: string,
  client: Client,
  note: Note,
  handle: (delivery: Delivery<Order>) => Promise<void>,
): void {
  client.consume<Order>(queue, handle, {
    concurrency: 8,
    prefetch: 16,
    onError: (error) => note({ act: `failed: ${codeOf(error)}`, by }),
  })
}
