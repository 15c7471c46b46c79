import type { QueuesIn, TopicsIn } from '../shared/contract.ts'
import { NAME } from '../shared/field-rules.ts'
import type { ResultFrame } from '../shared/frames.ts'
import { METHOD } from '../shared/queue-rules.ts'
import { type DeadLetter, QUEUE_TOPIC } from '../shared/queues.ts'
import { Admin } from './admin.ts'
import { CALL_RULES, type CallOptions, type ClientOptions } from './client-options.ts'
import { CONSUME_RULES, type ConsumeOptions, type DeliveryHandler } from './consume-options.ts'
import { Consumer } from './consumer.ts'
import { encodeChecked } from './encode-checked.ts'
import type { Line, Patience } from './line.ts'
import { addTexts } from './message.ts'
import { checkArgument, checkFunction, checkOptions, msOf } from './options.ts'
import { type Asked, PubSubClient, type RequestNames, type TopicNames, type Unnamed } from './pub-sub-client.ts'
import type { PublishOptions, Receipt } from './publisher.ts'
import { Offer, RESPOND_RULES, type RequestHandler, type Responder, type RespondOptions } from './responders.ts'
import type { WebSocketClass } from './websocket.ts'

type QueueNames<Topics> = keyof QueuesIn<Topics> & string

const CALL_TIMEOUT_MS = 30_000

/**
 * A connection to a hub that reconnects by itself.
 *
 * @typeParam Topics - which payload each topic or pattern carries, or a contract: `Client<typeof topics>`
 */
export class Client<Topics extends object = Record<string, unknown>> extends PubSubClient<Topics> {
  /** Administration: streams, queues, connections, topics and the hub itself. */
  readonly admin: Admin
  readonly #callTimeoutMs: number
  readonly #calls: Line

  /** @internal */
  constructor(
    url: string,
    platformWebSocket: WebSocketClass | undefined,
    options: ClientOptions<Topics>,
    hubGone?: AbortSignal,
  ) {
    super(url, platformWebSocket, options, hubGone)
    this.#callTimeoutMs = msOf(options.callTimeout ?? CALL_TIMEOUT_MS)
    this.#calls = this.link.addLine(({ limits }) => limits.calls ?? Number.POSITIVE_INFINITY)
    const call = async (method: string, params?: unknown, untilSent?: boolean) =>
      this.#call(method, params, { timeoutMs: this.#callTimeoutMs, untilSent })
    this.admin = new Admin(call, () => this.link.session.hubNow())
  }

  /**
   * Publishes straight to a queue, past all bindings; no subscription of a topic gets it. Rejects with `no_queue`, and
   * with what `publish` does.
   */
  enqueue(queue: Unnamed<QueueNames<Topics>>, data: unknown, options?: PublishOptions): Promise<Receipt>
  enqueue<Queue extends QueueNames<Topics>>(
    queue: Queue,
    data: QueuesIn<Topics>[Queue],
    options?: PublishOptions,
  ): Promise<Receipt>
  enqueue(queue: string, data: unknown, options: PublishOptions = {}): Promise<Receipt> {
    // Anything that is not a string is refused as a topic, and not converted.
    const topic = typeof queue === 'string' ? QUEUE_TOPIC + queue : queue
    return this.publish(topic as TopicNames<Topics>, data as never, options)
  }

  /**
   * Consumes a queue: each message goes to one consumer, and comes again until one has acked it. The handler's return
   * acks, a throw nacks with its error; the lease is extended while the handler runs. Throws `bad_option`, `client_closed`; what the
   * hub refuses (`no_queue`, `too_many_subscriptions`, `hub_full`) rejects `ready`.
   *
   * @typeParam Data - the payload of the queue's messages, if no contract names it
   */
  consume<Data = TopicsIn<Topics>[keyof TopicsIn<Topics>]>(
    queue: Unnamed<QueueNames<Topics>>,
    handler: DeliveryHandler<Data>,
    options?: ConsumeOptions,
  ): Consumer<Data>
  consume<Queue extends QueueNames<Topics>>(
    queue: Queue,
    handler: DeliveryHandler<QueuesIn<Topics>[Queue]>,
    options?: ConsumeOptions,
  ): Consumer<QueuesIn<Topics>[Queue]>
  /**
   * Consumes a queue with `for await`; settle each delivery with `ack`, `nack` or `reject`. Leases are not
   * extended automatically. The loop throws what the hub refuses.
   */
  consume<Data = TopicsIn<Topics>[keyof TopicsIn<Topics>]>(
    queue: Unnamed<QueueNames<Topics>>,
    options?: ConsumeOptions,
  ): Consumer<Data>
  consume<Queue extends QueueNames<Topics>>(queue: Queue, options?: ConsumeOptions): Consumer<QueuesIn<Topics>[Queue]>
  consume<Data>(
    queue: string,
    second: ConsumeOptions | DeliveryHandler<Data> = {},
    third: ConsumeOptions = {},
  ): Consumer<Data> {
    const [handler, options] = typeof second === 'function' ? [this.traced(second, queue), third] : [undefined, second]
    checkArgument('consume', 'queue', queue, NAME)
    checkOptions('consume', options, CONSUME_RULES)
    const { asking } = this.link
    const consumer = new Consumer(queue, { ...options }, handler, asking, this.trace)
    asking.add(consumer)
    consumer.standing.watch(() => consumer.close())
    return consumer
  }

  /**
   * Answers requests on a topic or pattern. Several responders share the requests: each request goes to the one with the
   * fewest open requests. The requester gets an answer whether the handler returns or throws. Throws `bad_pattern`, `bad_option`, `client_closed`; what the hub
   * refuses (`too_many_subscriptions`) rejects `ready`, unless it may pass.
   */
  respond<Data = unknown, Reply = unknown>(
    pattern: Unnamed<RequestNames<Topics>>,
    handler: RequestHandler<Data, Reply>,
    options?: RespondOptions,
  ): Responder
  respond<Pattern extends string>(
    pattern: Pattern,
    handler: RequestHandler<Asked<Topics, Pattern>['request'], Asked<Topics, Pattern>['reply']>,
    options?: RespondOptions,
  ): Responder
  respond(pattern: string, handler: RequestHandler<never, unknown>, options: RespondOptions = {}): Responder {
    checkFunction('respond', handler)
    checkOptions('respond', options, RESPOND_RULES)
    const traced = this.traced(handler as RequestHandler<unknown, unknown>)
    const { asking } = this.link
    const offer = new Offer(pattern, traced, { ...options }, asking)
    asking.add(offer)
    const { ready, ended } = offer.standing
    const close = () => offer.close()
    return { ready, ended, close, [Symbol.asyncDispose]: close }
  }

  /**
   * Calls a method of the hub; docs/reference/calls.md lists them. Waits for the connection.
   *
   * @throws {FanfareError} what the method refuses, `unknown_method`, `bad_params`, `bad_data` (JSON cannot express the parameters),
   * `forbidden_key`, `frame_too_large`, `send_buffer_full`; `request_timeout` and `connection_lost`: it may have happened or not
   */
  async call(method: string, params?: unknown, options: CallOptions = {}): Promise<unknown> {
    checkArgument('call', 'method', method, METHOD)
    checkOptions('call', options, CALL_RULES)
    const { timeout = this.#callTimeoutMs, signal } = options
    return this.#call(method, params, { timeoutMs: msOf(timeout), signal })
  }

  #call(method: string, params: unknown, patience: Patience): Promise<unknown> {
    const call = {
      encode: (seq: number) => encodeChecked({ type: 'call', seq, method, params }),
      read: ({ result }: ResultFrame) => {
        if (method === 'deadLetters.list') addTexts(result as readonly DeadLetter[], this.link.session.raw)
        return result
      },
    }
    return this.#calls.send(call, patience)
  }
}
