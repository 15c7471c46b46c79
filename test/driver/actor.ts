import type { Client } from '../../client/client.ts'
import type { ClientOptions } from '../../client/client-options.ts'
import type { ConsumeOptions } from '../../client/consume-options.ts'
import type { Delivery } from '../../client/delivery.ts'
import type { Message } from '../../client/message.ts'
import { pick, type Random, whole } from '../fuzz/random.ts'
import { METHODS, ODD, type Odd, outcome } from '../setup/odd-arguments.ts'
import * as valid from './arguments.ts'
import { once } from './arguments.ts'
import { maybeThrow, OWN_FAULT, probeOf, settle, settleOddly, skipOrRetry, work } from './handlers.ts'
import { Held } from './held.ts'
import { type Promises, pause } from './promises.ts'

/** Most that stands of one client. */
const MOST_HELD = 24
const CALL_TIMEOUT_MS = 3_000
const CLOSE_TIMEOUT_MS = 1_000
/** A commit, and the last one of a subscription that ends. */
const COMMIT_MS = 30_000

/** What may refuse anything that is sent. */
const ANY_TIME = ['connection_lost', 'send_buffer_full', 'rate_limited', 'hub_full', 'client_closed', 'aborted']
const PUBLISH = [...ANY_TIME, 'no_queue', 'queue_limit']
const REQUEST = [
  ...ANY_TIME,
  'request_timeout',
  'no_responder',
  'responder_lost',
  'responder_failed',
  'too_many_requests',
]
const CALL = [...ANY_TIME, 'request_timeout', 'no_queue', 'no_stream', 'no_cursor', 'no_connection']
const SETTLE = ['lease_lost', 'connection_lost']
const COMMIT = ['request_timeout', 'connection_lost']

export type Connect = (url: string, options: ClientOptions) => Client

/** One client whose methods the driver calls, and the model of what it has at the hub. */
export class Actor {
  readonly name: string
  readonly client: Client
  readonly held: Held[] = []
  private readonly random: Random
  private readonly promises: Promises
  private readonly steps: readonly (readonly [weight: number, step: () => void])[]
  private names = 0
  private closing = false

  constructor(name: string, connect: (options: ClientOptions) => Client, random: Random, promises: Promises) {
    this.name = name
    this.random = random
    this.promises = promises
    this.client = connect({ name, backoff: { base: 20, cap: 200 }, callTimeout: CALL_TIMEOUT_MS })
    this.client.onState(({ to, reason }) => {
      if (to === 'closed' && !this.closing)
        promises.faults.push(`${name} was closed: ${reason.code}, ${reason.message}`)
      maybeThrow(random, 20)
    })
    this.steps = [
      [30, () => this.publish()],
      [10, () => this.enqueue()],
      [10, () => this.request()],
      [5, () => this.subscribe()],
      [4, () => this.consume()],
      [3, () => this.respond()],
      [6, () => this.endOne()],
      [8, () => this.call()],
      [5, () => this.declare()],
      [2, () => this.listen()],
      [6, () => this.odd()],
    ]
  }

  step(): void {
    let left = this.random() * this.steps.reduce((sum, [weight]) => sum + weight, 0)
    for (const [weight, step] of this.steps) {
      left -= weight
      if (left < 0) return step()
    }
  }

  get standing(): Held[] {
    return this.held.filter(({ stands }) => stands)
  }

  /** Closes the client: whatever it was asked for has its end. */
  async close(): Promise<void> {
    this.closing = true
    for (const held of this.standing) held.endedByOwner = true
    const { client, promises } = this
    // Two seconds more for a hub that does not answer its WebSocket's close.
    const closed = client.close({ timeout: CLOSE_TIMEOUT_MS })
    await promises.track(`${this.name}.close`, closed, [], CLOSE_TIMEOUT_MS + 2_000)
    await pause(0)
    this.judge()
    if (client.state !== 'closed') promises.faults.push(`${this.name} is ${client.state} after close()`)
  }

  /** Notes everything that has ended otherwise than the model says. */
  judge(): void {
    for (const { fault } of this.held) if (fault) this.promises.faults.push(`${this.name}: ${fault}`)
  }

  private track(what: string, promise: PromiseLike<unknown>, codes?: readonly string[], boundMs?: number): void {
    void this.promises.track(`${this.name}.${what}`, promise, codes, boundMs)
  }

  /** Now and then, and it may be aborted before. */
  private signal(): { readonly signal?: AbortSignal } {
    const { random } = this
    if (!once(random, 8)) return {}
    const controller = new AbortController()
    if (once(random, 4)) controller.abort()
    else setTimeout(() => controller.abort(), whole(random, 50))
    return { signal: controller.signal }
  }

  /** How its owner ends something: by its method, or by its signal. */
  private endBySignal(): {
    readonly options: { readonly signal?: AbortSignal }
    readonly abort: (() => void) | undefined
  } {
    if (!once(this.random, 3)) return { options: {}, abort: undefined }
    const controller = new AbortController()
    return { options: { signal: controller.signal }, abort: () => controller.abort() }
  }

  private publish(): void {
    const { random } = this
    const options = { ...valid.publishOptions(random), ...this.signal() }
    this.track('publish', this.client.publish(valid.topic(random), valid.data(random), options), PUBLISH)
  }

  private enqueue(): void {
    const { random } = this
    const options = { ...valid.publishOptions(random), ...this.signal() }
    this.track('enqueue', this.client.enqueue(valid.queue(random), valid.data(random), options), PUBLISH)
  }

  private request(): void {
    const { random } = this
    const timeoutMs = 1 + whole(random, 2_000)
    const asked = this.client.request(valid.requestTopic(random), valid.data(random), {
      timeout: timeoutMs,
      ...this.signal(),
    })
    this.track('request', asked, REQUEST, timeoutMs)
  }

  private subscribe(): void {
    if (this.standing.length >= MOST_HELD) return
    const { random, client } = this
    const { pattern, topic, options, fromStream } = valid.subscribeArguments(random, `${this.name}.${this.names++}`)
    // Set below: an error may come at once.
    let held: Held | undefined
    const onError = (error: unknown, message?: Message, event?: { readonly attempt: number }) => {
      held?.onError(error, message)
      return skipOrRetry(random, message, event?.attempt)
    }
    const own = () => maybeThrow(random, 20)
    const signalled = this.endBySignal()
    const all = { ...options, ...signalled.options, onError, onGap: own, onInterrupted: own, onResubscribed: own }
    const handle = (message: Message) => {
      const probe = probeOf(message.data)
      if (probe !== undefined && held) held.heard = Math.max(held.heard, probe)
      if (probe === undefined && once(random, 300)) this.end(held)
      return probe === undefined ? work(random) : undefined
    }
    const isRead = once(random, 3)
    const subscription = isRead ? client.subscribe(pattern, all) : client.subscribe(pattern, handle, all)
    const refusals = fromStream ? ['no_stream'] : []
    held = new Held('subscription', pattern, topic, refusals, subscription, () =>
      signalled.abort ? signalled.abort() : subscription.unsubscribe(),
    )
    this.held.push(held)
    this.track('subscription.ready', subscription.ready, refusals)
    if (isRead) void this.read(held, subscription, handle)
    if (once(random, 5))
      this.track(
        'commit',
        pause(whole(random, 50)).then(() => subscription.commit()),
        COMMIT,
        COMMIT_MS,
      )
  }

  /** A loop ends by `break` or by what its body throws, which are its owner's ends, or with what it reads. */
  private async read(held: Held, items: AsyncIterable<Message>, handle: (message: Message) => unknown): Promise<void> {
    const { random } = this
    const body = async (item: Message): Promise<boolean> => {
      await handle(item)
      return probeOf(item.data) === undefined && once(random, 200)
    }
    try {
      for await (const item of items) {
        const last = await body(item).catch(() => true)
        if (!last) continue
        held.endedByOwner = true
        if (once(random, 2)) throw new Error(OWN_FAULT)
        break
      }
    } catch {
      // What the hub ended it with is in `ended`.
    }
  }

  private consume(): void {
    if (this.standing.length >= MOST_HELD) return
    const { random, client } = this
    const queue = valid.queue(random)
    let held: Held | undefined
    const own = () => maybeThrow(random, 20)
    const signalled = this.endBySignal()
    const options: ConsumeOptions = {
      ...signalled.options,
      maxRunTime: 500,
      onError: (error, delivery) => held?.onError(error, delivery),
      onInterrupted: own,
      onResumed: own,
      ...(once(random, 2) && { concurrency: 1 + whole(random, 8) }),
      ...(once(random, 2) && { prefetch: 8 + whole(random, 50) }),
      ...(once(random, 4) && { ackDeadline: 1_000 + whole(random, 3_000) }),
    }
    const handle = (delivery: Delivery) => {
      const probe = probeOf(delivery.data)
      if (probe !== undefined && held) held.heard = Math.max(held.heard, probe)
      if (probe !== undefined) return undefined
      if (once(random, 100)) this.end(held)
      if (once(random, 20)) return void this.track('settle', settle(random, delivery), SETTLE)
      if (once(random, 40)) return void outcome('settle', () => settleOddly(random, delivery)).catch(() => {})
      return once(random, 100) ? new Promise(() => {}) : work(random)
    }
    const isRead = once(random, 4)
    const consumer = isRead ? client.consume(queue, options) : client.consume(queue, handle, options)
    held = new Held('consumer', queue, queue, ['no_queue'], consumer, () =>
      signalled.abort ? signalled.abort() : consumer.close(),
    )
    this.held.push(held)
    this.track('consumer.ready', consumer.ready, ['no_queue'])
    if (isRead) void this.readQueue(held, consumer)
  }

  private async readQueue(held: Held, deliveries: AsyncIterable<Delivery>): Promise<void> {
    try {
      for await (const delivery of deliveries) {
        held.heard = Math.max(held.heard, probeOf(delivery.data) ?? 0)
        this.track('settle', settle(this.random, delivery), SETTLE)
      }
    } catch {
      // What ended it is in `ended`.
    }
  }

  private respond(): void {
    if (this.standing.length >= MOST_HELD) return
    const { random, client } = this
    const [pattern, topic] = valid.respondArguments(random)
    let held: Held | undefined
    const own = () => maybeThrow(random, 20)
    const options = {
      onError: (error: unknown, request?: unknown) => held?.onError(error, request),
      onInterrupted: own,
      onResumed: own,
    }
    const handle = async ({ data }: { readonly data: unknown }) => {
      const probe = probeOf(data)
      if (probe !== undefined && held) held.heard = probe
      if (probe !== undefined) return probe
      if (once(random, 100)) this.end(held)
      await work(random)
      return once(random, 10)
        ? pick(
            random,
            Object.values(ODD).filter((odd) => !(odd instanceof Promise)),
          )
        : data
    }
    const responder = client.respond(pattern, handle, options)
    held = new Held('responder', pattern, topic, [], responder, () => responder.close())
    this.held.push(held)
    this.track('responder.ready', responder.ready, [])
  }

  private endOne(): void {
    const { standing } = this
    if (standing.length > 0) this.end(pick(this.random, standing))
  }

  /** At times twice, and handlers end what they belong to. */
  private end(held: Held | undefined): void {
    if (!held) return
    const times = once(this.random, 4) ? 2 : 1
    for (let n = 0; n < times; n++) this.track(`end of a ${held.what}`, held.close(), [])
  }

  private call(): void {
    const { random, client } = this
    const queue = valid.queue(random)
    const call = pick<() => Promise<unknown>>(random, [
      () => client.call('hub.show', {}, this.signal()),
      () => client.admin.queues.list(),
      () => client.admin.queues.show(queue),
      () => client.admin.queues.purge(queue),
      () => client.admin.queues.deadLetters.list(queue, {}, { limit: 10 }),
      () => client.admin.queues.deadLetters.purge(queue),
      () => client.admin.streams.list(),
      () => client.admin.streams.show('s'),
      () => client.admin.streams.trim('s', whole(random, 100)),
      () => client.admin.streams.cursors('s'),
      () => client.admin.streams.deleteCursor('s', `${this.name}.${whole(random, this.names + 1)}`),
      () => client.admin.connections.list(),
      () => client.admin.topics.list(),
      () => this.disconnectOne(),
    ])
    this.track('call', call(), CALL, 2 * CALL_TIMEOUT_MS)
  }

  private async disconnectOne(): Promise<void> {
    const { connections } = await this.client.admin.connections.list()
    if (connections.length > 0)
      await this.client.admin.connections.disconnect(pick(this.random, connections).connection)
  }

  /** Streams and queues come and go; mostly they are there. */
  private declare(): void {
    const { random, client } = this
    const goes = once(random, 20)
    const what = whole(random, 3)
    const queue = pick(random, valid.QUEUES)
    if (goes && what === 0) this.track('delete', client.admin.streams.delete('s'), CALL, CALL_TIMEOUT_MS)
    else if (goes) this.track('delete', client.admin.queues.delete(queue.name), CALL, CALL_TIMEOUT_MS)
    else if (what === 0) this.track('declare', client.admin.streams.declare(valid.STREAM), CALL, CALL_TIMEOUT_MS)
    else this.track('declare', client.admin.queues.declare(queue), CALL, CALL_TIMEOUT_MS)
  }

  private listen(): void {
    const { random, client } = this
    if (once(random, 2)) this.track('ready', client.ready(this.signal()), ANY_TIME)
    const stop = client.onState(() => maybeThrow(random, 20))
    setTimeout(stop, whole(random, 100))
  }

  private odd(): void {
    const { random, promises } = this
    const [method, call] = pick(random, Object.entries(METHODS))
    const [what, odd] = pick(random, Object.entries(ODD))
    const told = outcome(what, () => call(this.client, odd as Odd)).then((fault) => {
      if (fault !== undefined && !fault.includes(OWN_FAULT)) promises.faults.push(`${this.name}: ${method}: ${fault}`)
    })
    this.track(`${method}: ${what}`, told)
  }
}
