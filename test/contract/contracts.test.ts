import { runInNewContext } from 'node:vm'
import { type } from 'arktype'
import * as v from 'valibot'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { connect, defineTopics, type Schema } from '../../client/node.ts'
import { startHub } from '../../server/index.ts'
import { onEveryEngine } from '../setup/hubs.ts'
import { lazyQuery } from '../setup/lazy-query.ts'
import { QueueReader } from '../setup/queues.ts'
import { streamWorlds } from '../setup/streams.ts'

const photo = z.object({ name: z.string(), size: z.object({ width: z.number() }) })
/** A schema whose result is a promise of another realm. */
function promising(answer: unknown, validate = (): unknown => answer): Schema {
  return { '~standard': { version: 1, vendor: 'test', validate: validate as Schema['~standard']['validate'] } }
}

const lastDigit = z.string().transform((text) => Number(text.at(-1)))

const topics = defineTopics(
  {
    'photos.uploaded': photo,
    's.kept': photo,
    'prices.*': v.object({ euros: v.number() }),
    'prices.gold': type({ euros: 'number', carat: 'number' }),
    'text.#': lastDigit,
    'later.zod': z.string().refine(async (text) => text !== 'no'),
    'later.valibot': v.objectAsync({ n: v.number() }),
    'later.thenable': promising(lazyQuery(() => ({ value: 1 }))),
    'later.foreign': promising(runInNewContext('Promise.resolve({ value: 1 })')),
    'thrown.late': z.any().refine((data) => data.a.b),
    'thrown.now': v.pipe(
      v.any(),
      v.check((data) => data.a.b),
    ),
    'thrown.wordless': promising(undefined, () => {
      throw Object.create(null)
    }),
  },
  {
    queues: { thumbnails: ['photos.uploaded'], mixed: ['photos.uploaded', 'prices.*'] },
    requests: { 'sums.*': { request: z.array(z.number()), reply: z.number() } },
  },
)
const good = { name: 'a.jpg', size: { width: 1 } }
const bad = { name: 'b.jpg', size: { width: 'wide' } }
const queues = [{ name: 'thumbnails', bindings: [{ topic: 'photos.uploaded' }] }, { name: 'mixed' }, { name: 'work' }]

onEveryEngine('contracts', (hubs) => {
  const start = streamWorlds(hubs)
  const refused = (...words: (string | RegExp)[]) => ({
    code: 'bad_data',
    retry: false,
    message: expect.stringMatching(
      new RegExp(words.map((word) => (word instanceof RegExp ? word.source : word)).join('.*')),
    ),
  })

  it('refuse a message that breaks them, to its publisher only, and no subscriber gets it', async () => {
    const { client, peer } = await start({ topics, queues })
    const listener = await peer()
    await listener.subscribe(1, '#')
    // Without types, like a client that does not know the contract.
    const stranger = client()
    const expected = refused(
      'The message on "photos.uploaded" does not match its schema: at size.width:',
      /number/,
      /string/,
    )
    await expect(stranger.publish('photos.uploaded', bad)).rejects.toMatchObject(expected)
    await expect(stranger.publish('s.kept', bad)).rejects.toMatchObject(
      refused('The message on "s.kept" does not match its schema: at size.width:'),
    )
    await expect(stranger.publish('prices.silver', { euros: '1' })).rejects.toMatchObject(refused('at euros:'))
    await expect(stranger.publish('prices.gold', { euros: 1 })).rejects.toMatchObject(refused('at carat:'))
    await expect(stranger.publish('photos.uploaded', new Uint8Array([1]))).rejects.toMatchObject(
      refused('The message on "photos.uploaded"'),
    )
    expect(await stranger.publish('photos.uploaded', good)).toMatchObject({ queues: ['thumbnails'] })
    expect(await stranger.publish('s.kept', good)).toMatchObject({ positions: { s: { offset: 0 } } })
    await stranger.publish('prices.silver', { euros: 1 })
    await stranger.publish('prices.gold', { euros: 1, carat: 24 })
    // The contract does not mention this topic.
    await stranger.publish('photos.renamed', bad)
    const heard = (await listener.settled()).map((frame) => (frame.type === 'message' ? frame.topic : frame.type))
    expect(heard).toEqual(['photos.uploaded', 's.kept', 'prices.silver', 'prices.gold', 'photos.renamed'])
  })

  it('change nothing in what they accept, and keep their messages short', async () => {
    const { client, peer } = await start({ topics })
    const listener = await peer()
    await listener.subscribe(1, '#')
    await client().publish('text.a.b', 'take 5')
    expect(await listener.next('message')).toMatchObject({ data: 'take 5' })
    const wide = Object.fromEntries(Array.from({ length: 2000 }, (_, n) => [`field-${n}`, n]))
    const strict = await start({ topics: defineTopics({ a: z.record(z.string().max(1), z.string()) }) })
    const error = await strict
      .client()
      .publish('a', wide)
      .catch((error: unknown) => error)
    expect(error).toMatchObject(refused('and 199[0-9] more|and [0-9]+ more'))
    expect(String(error).length).toBeLessThan(1500)
  })

  it('apply to queues, by their name and through an ack that publishes', async () => {
    const { client } = await start({ topics, queues })
    const worker = client()
    await expect(worker.enqueue('thumbnails', bad)).rejects.toMatchObject(
      refused('The message for queue "thumbnails" does not match its schema: at size'),
    )
    await expect(worker.enqueue('mixed', { cents: 1 })).rejects.toMatchObject(refused('The message for queue "mixed"'))
    await worker.enqueue('mixed', { euros: 1 })
    await worker.enqueue('mixed', good)
    await worker.enqueue('work', 1)
    const work = new QueueReader(worker, 'work')
    const delivery = await work.next()
    for (const topic of ['photos.uploaded', 's.kept', 'prices.silver']) {
      const publish = [
        { topic: 's.other', data: 1 },
        { topic, data: bad },
      ]
      await expect(delivery.ack({ publish })).rejects.toMatchObject(refused(topic))
    }
    await delivery.ack({ publish: [{ topic: 'photos.uploaded', data: good }] })
    expect(await worker.admin.queues.show('thumbnails')).toMatchObject({ depth: 1 })
    expect((await worker.admin.streams.show('s')).next).toBe(0)
    await work.close()
  })

  it('apply to requests and to replies; both sides are notified', async () => {
    const { client } = await start({ topics })
    const worker = client()
    let told: (error: unknown) => void = () => {}
    const complaint = new Promise((resolve) => {
      told = resolve
    })
    const handler = ({ data }: { data: number[] }) => (data.length === 1 ? 'one' : data.length)
    await worker.respond<number[], unknown>('sums.*', handler, { onError: told }).ready
    const asker = client()
    await expect(asker.request('sums.a', ['1'])).rejects.toMatchObject(
      refused('The request on "sums.a" does not match its schema: at 0:'),
    )
    const failed = { code: 'responder_failed', message: expect.stringMatching(/The reply on "sums.a" .*number/) }
    await expect(asker.request('sums.a', [1])).rejects.toMatchObject(failed)
    expect(await complaint).toMatchObject(refused('The reply on "sums.a"'))
    expect(await asker.request('sums.a', [1, 2])).toBe(2)
    // The contract does not mention this topic.
    await worker.respond('sums', () => 'anything').ready
    expect(await asker.request('sums')).toBe('anything')
  })

  it('cost a publisher only the publish if a schema itself fails', async () => {
    const { client, peer } = await start({ topics })
    const publisher = client()
    const later = ['later.zod', 'later.valibot', 'later.thenable', 'later.foreign']
    for (const topic of [...later, 'thrown.late', 'thrown.now', 'thrown.wordless']) {
      const expected = refused(`The message on "${topic}" cannot be checked: its schema failed`)
      await expect(publisher.publish(topic, topic)).rejects.toMatchObject(expected)
    }
    const byHand = await peer()
    byHand.send({ type: 'publish', seq: 1, topic: 'later.zod', data: 'no' })
    expect(await byHand.next('error')).toMatchObject({ code: 'bad_data', seq: 1 })
    expect(await publisher.publish('free', 1)).toBeDefined()
  })

  it('give a client its types, from a single definition', async () => {
    const { url } = await start({ topics, queues })
    const client = connect(url, { topics })
    const photos = client.subscribe('photos.*')
    await photos.ready
    await client.publish('photos.uploaded', good)
    for await (const { data } of photos) {
      expect(data.size.width + 1).toBe(2)
      break
    }
    client.respond('sums.*', ({ data }) => data.reduce((sum, each) => sum + each, 0))
    expect((await client.request('sums.a', [1, 2])) + 1).toBe(4)
    await client.close()
  })
})

describe('a contract that cannot be enforced', () => {
  it.each([
    ['b: not a schema', { topics: { b: 1 }, queues: {}, requests: {} }],
    ['sums \\(reply\\): not a schema', { topics: {}, queues: {}, requests: { sums: { request: z.string() } } }],
    ['a.#.b: matches topics that a.\\*.\\* matches', defineTopics({ 'a.*.*': z.string(), 'a.#.b': z.string() })],
    ['Invalid pattern "a..b"', defineTopics({ 'a..b': z.string() })],
    ['\\$sys.a: topics that begin with \\$', defineTopics({ '$sys.a': z.string() })],
    ['queue q: no schema of "b"', { topics: {}, queues: { q: ['b'] }, requests: {} }],
    ['what defineTopics\\(\\) returned', { 'photos.uploaded': photo }],
  ])('is refused at start: %s', async (words, contract) => {
    const options = { port: 0, topics: contract as ReturnType<typeof defineTopics> }
    const expected = { code: 'bad_config', message: expect.stringMatching(new RegExp(`topics:? .*${words}`)) }
    await expect(startHub(options)).rejects.toMatchObject(expected)
  })
})
