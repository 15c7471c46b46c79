import { expect, it } from 'vitest'
import type { Broker, BrokerEvents } from '../../server/broker/broker.ts'
import { DEFAULT_MAX_BYTES } from '../../server/broker/rules/declarations.ts'
import { QUEUE_DEFAULTS } from '../../server/queue/queue-config.ts'
import { FanfareError } from '../../shared/errors.ts'
import type { QueueOptions } from '../../shared/queues.ts'
import { type BrokerFactory, onEveryBroker, publishTo, streamOptions } from '../setup/brokers.ts'
import { bareDraft } from '../setup/drafts.ts'
import { range } from '../setup/streams.ts'

const queueOptions = (more: Partial<QueueOptions> = {}): QueueOptions => ({
  ...QUEUE_DEFAULTS,
  maxBytes: DEFAULT_MAX_BYTES.disk,
  name: 'q',
  bindings: [],
  ...more,
})

/** Everything that a broker reports, one line each. */
function logged(log: string[]): BrokerEvents {
  return {
    messages: (batch) => {
      for (const { parts, placement } of batch) {
        log.push(`message ${parts.id} ${placement ? JSON.stringify(placement.offsets) : 'not kept'}`)
      }
    },
    missed: () => void log.push('missed'),
    ready: () => {},
    streamDeclared: ({ options }) => log.push(`stream ${options.name}`),
    streamDeleted: (name) => log.push(`no stream ${name}`),
    queueDeclared: ({ name }) => log.push(`queue ${name}`),
    queueDeleted: (name) => log.push(`no queue ${name}`),
    committed: () => {},
  }
}

/** Publishes with an id, and logs the result. */
function publish(broker: Broker, log: string[], id: string, streams: readonly string[] = ['s']): Promise<void> {
  return publishTo(broker, { topic: 't', data: 0, id, streams }).then(
    ({ duplicate }) => void log.push(`${duplicate ? 'duplicate' : 'kept'} ${id}`),
    ({ code }: FanfareError) => void log.push(`${code} ${id}`),
  )
}

/** A broker with a stream, and a log of what it reports. */
async function startOn(brokers: BrokerFactory) {
  const world = await brokers.open()
  const log: string[] = []
  await world.broker.open(logged(log))
  await world.broker.declareStream(streamOptions(), false)
  return { world, broker: world.broker, log }
}

onEveryBroker('events of a broker', (brokers) => {
  const start = () => startOn(brokers)

  it('are the messages of a commit in log order, stored or not, then its results', async () => {
    const { broker, log } = await start()
    log.length = 0
    await Promise.all([
      publish(broker, log, 'a'),
      publish(broker, log, 'b', []),
      publish(broker, log, 'c'),
      publish(broker, log, 'a'),
    ])
    expect(log).toEqual([
      'message a {"s":0}',
      'message b not kept',
      'message c {"s":1}',
      'kept a',
      'kept b',
      'kept c',
      'duplicate a',
    ])
  })

  it('publishes go on while streams are declared again and again', async () => {
    const { broker, log } = await start()
    let declaring = true
    const declared = (async () => {
      for (let n = 0; declaring; n++) await broker.declareStream(streamOptions({ maxMessages: 10 + (n % 2) }), true)
    })()
    await Promise.all(range(0, 20).map((n) => publish(broker, log, `${n}`)))
    declaring = false
    await declared
    expect(log.filter((line) => line.startsWith('kept'))).toHaveLength(20)
  })

  it('messages that are not stored are delivered even if the commit that they came with fails', async () => {
    const { world, broker, log } = await start()
    log.length = 0
    world.failWith(new FanfareError('storage_full'))
    await Promise.all([publish(broker, log, 'a'), publish(broker, log, 'b', []), publish(broker, log, 'c')])
    expect(log).toEqual(['message b not kept', 'storage_full a', 'kept b', 'storage_full c'])
  })
})

onEveryBroker('what a broker reports of queues', (brokers) => {
  const start = () => startOn(brokers)

  it('begin with the existing streams and queues', async () => {
    const { broker } = await start()
    await broker.declareQueue(queueOptions(), false)
    const log: string[] = []
    await broker.open(logged(log))
    expect(log).toEqual(['stream s', 'queue q'])
  })

  it('are declarations and deletions, each once, before they are confirmed', async () => {
    const { broker, log } = await start()
    const { generation } = broker
    const changes = [
      broker.declareQueue(queueOptions(), false).then(() => log.push('declared')),
      // Repeating it changes nothing.
      broker.declareQueue(queueOptions(), false),
      broker.deleteStream('s').then(() => log.push('deleted')),
    ]
    await Promise.all(changes)
    expect(log).toEqual(['stream s', 'queue q', 'no stream s', 'declared', 'deleted'])
    expect(broker.generation).toBeGreaterThan(generation)
    const after = broker.generation
    await broker.declareQueue(queueOptions(), false)
    expect(broker.generation).toBe(after)
  })

  it('a draft is routed again before it is stored if declarations have changed since', async () => {
    const { broker } = await start()
    const kept = new Promise<unknown>((kept, refused) => {
      const old = bareDraft({ id: 'a', topic: 't', route: { generation: broker.generation }, kept, refused })
      const draft = { ...old, reroute: () => Object.assign(draft, { route: routed() }).route }
      const routed = () => ({ generation: broker.generation, streams: [], queues: ['q'] })
      void broker.declareQueue(queueOptions(), false)
      broker.publish(draft)
    })
    expect(await kept).toMatchObject({ queues: ['q'] })
  })

  it('a draft that can no longer be routed is refused', async () => {
    const { broker } = await start()
    await broker.declareQueue(queueOptions(), false)
    const kept = new Promise((kept, refused) => {
      const route = { generation: broker.generation, queues: ['q'] }
      const draft = bareDraft({ id: 'a', topic: '$queue.q', route, kept, refused })
      const gone = () => {
        throw new FanfareError('no_queue')
      }
      void broker.deleteQueue('q')
      broker.publish({ ...draft, reroute: gone })
    })
    await expect(kept).rejects.toMatchObject({ code: 'no_queue' })
  })

  it('publishes end as unknown if the broker cannot tell whether they were stored', async () => {
    const { world, broker } = await start()
    await broker.declareQueue(queueOptions(), false)
    await publishTo(broker, { topic: 't', data: 0, streams: [], queues: ['q'] })
    const [delivery] = await broker.lease('q', 1, 1000)
    world.failWith(new FanfareError('outcome_unknown'))
    const published = new Promise<string>((resolve) => {
      const answers = { kept: () => resolve('kept'), refused: () => resolve('refused') }
      const route = { generation: broker.generation, streams: ['s'] }
      broker.publish({ ...bareDraft({ id: 'a', topic: 't', route, ...answers }), unknown: () => resolve('unknown') })
    })
    const settled = new Promise<string>((resolve) => {
      const answers = { settled: () => resolve('settled'), refused: () => resolve('refused') }
      const { id, seq } = delivery as NonNullable<typeof delivery>
      const ending = { kind: 'ack' } as const
      broker.settle({
        queue: 'q',
        delivery: id,
        seq,
        ending,
        drafts: [],
        ...answers,
        unknown: () => resolve('unknown'),
      })
    })
    expect(await Promise.all([published, settled])).toEqual(['unknown', 'unknown'])
  })
})
