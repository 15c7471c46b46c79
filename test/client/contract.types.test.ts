import { type } from 'arktype'
import * as v from 'valibot'
import { expectTypeOf, it } from 'vitest'
import { z } from 'zod'
import { type Client, type Contract, connect, defineTopics, type Exchange, type Payload } from '../../client/node.ts'
import { defineTopics as defineOnHub, startHub } from '../../server/index.ts'

interface Photo {
  name: string
  width: number
}

const topics = defineTopics(
  {
    'photos.uploaded': z.object({ name: z.string(), width: z.number() }),
    'photos.moderated': v.object({ name: v.string(), verdict: v.picklist(['approved', 'flagged']) }),
    'prices.*': type({ euros: 'number' }),
    'orders.#': z.object({ total: z.number() }),
  },
  {
    queues: { thumbnails: ['photos.uploaded'], reports: ['photos.uploaded', 'prices.*'] },
    requests: {
      sums: { request: z.array(z.number()), reply: z.number() },
      'words.*': { request: v.string(), reply: type('string[]') },
    },
  },
)
type Moderated = { name: string; verdict: 'approved' | 'flagged' }

// The rest is compiled and never run: `npm run typecheck` fails if a type is not as stated.
function types(client: Client<typeof topics>): void {
  expectTypeOf(connect('', { topics })).toEqualTypeOf(client)

  void client.publish('photos.uploaded', { name: 'a.jpg', width: 1 })
  void client.publish('prices.gold', { euros: 1 })
  void client.publish('orders', { total: 1 })
  void client.publish('orders.new.today', { total: 1 })
  // @ts-expect-error the wrong payload
  void client.publish('photos.uploaded', { name: 'a.jpg' })
  // @ts-expect-error the payload of another topic
  void client.publish('photos.moderated', { name: 'a.jpg', verdict: 'lost' })
  // @ts-expect-error the payload of a pattern
  void client.publish('prices.gold', { euros: '1' })
  // @ts-expect-error the payload of a pattern of any number of words
  void client.publish('orders', { total: '1' })
  // @ts-expect-error a topic that the contract does not name
  void client.publish('photos.renamed', { name: 'a.jpg', width: 1 })

  const data = <Data>(_: AsyncIterable<{ readonly data: Data }>) => expectTypeOf<Data>()
  data(client.subscribe('photos.uploaded')).toEqualTypeOf<Photo>()
  data(client.subscribe('photos.*')).toEqualTypeOf<Photo | Moderated>()
  data(client.subscribe('*.moderated')).toEqualTypeOf<Moderated | { euros: number } | { total: number }>()
  data(client.subscribe('prices.gold')).toEqualTypeOf<{ euros: number }>()
  data(client.subscribe('orders.#')).toEqualTypeOf<{ total: number }>()
  data(client.subscribe('#')).toEqualTypeOf<Photo | Moderated | { euros: number } | { total: number }>()
  data(client.subscribe('photos.uploaded.twice')).toEqualTypeOf<unknown>()
  client.subscribe('photos.uploaded', ({ data }) => {
    expectTypeOf(data).toEqualTypeOf<Photo>()
  })
  // @ts-expect-error a handler of something else
  client.subscribe('photos.uploaded', ({ data }: { data: { euros: number } }) => void data)

  data(client.consume('thumbnails')).toEqualTypeOf<Photo>()
  data(client.consume('reports')).toEqualTypeOf<Photo | { euros: number }>()
  client.consume(
    'thumbnails',
    ({ data }) => {
      expectTypeOf(data).toEqualTypeOf<Photo>()
    },
    { concurrency: 2 },
  )
  void client.enqueue('thumbnails', { name: 'a.jpg', width: 1 })
  // @ts-expect-error a handler of something else
  client.consume('thumbnails', ({ data }: { data: { euros: number } }) => void data)
  // @ts-expect-error the wrong payload
  void client.enqueue('thumbnails', { euros: 1 })
  // @ts-expect-error a queue that the contract does not name
  client.consume('thumbs')

  expectTypeOf(client.request('sums', [1, 2])).toEqualTypeOf<Promise<number>>()
  expectTypeOf(client.request('words.german', 'a b')).toEqualTypeOf<Promise<string[]>>()
  client.respond('sums', ({ data }) => data.length, { onError: () => {} })
  client.respond('words.*', async ({ data }) => data.split(' '))
  // @ts-expect-error the wrong question
  void client.request('sums', ['1'])
  // @ts-expect-error a request that the contract does not name
  void client.request('products', [1])
  // @ts-expect-error the wrong reply
  client.respond('sums', ({ data }) => data.join())
  // @ts-expect-error a request that the contract does not name
  client.respond('products', () => 1)

  // @ts-expect-error a queue of a topic that the contract does not name
  defineTopics({ a: z.string() }, { queues: { q: ['b'] } })
  // @ts-expect-error no schema
  defineTopics({ a: 'string' })
  // @ts-expect-error a request without a reply
  defineTopics({}, { requests: { sums: { request: z.string() } } })
}

// The wire carries what was published: the input type applies to readers of a transforming schema, too.
function conversions(): void {
  const converting = defineTopics({
    zod: z.object({ at: z.string().transform((text) => new Date(text)), n: z.number().default(1) }),
    valibot: v.pipe(v.string(), v.transform(Number)),
    arktype: type('string.numeric.parse'),
  })
  const client = connect('', { topics: converting })
  void client.publish('zod', { at: '2026-01-01' })
  void client.publish('valibot', '1')
  void client.publish('arktype', '1')
  client.subscribe('zod', ({ data }) => {
    expectTypeOf(data).toEqualTypeOf<{ at: string; n?: number | undefined }>()
  })
  client.subscribe('valibot', ({ data }) => {
    expectTypeOf(data).toEqualTypeOf<string>()
  })
  client.subscribe('arktype', ({ data }) => {
    expectTypeOf(data).toEqualTypeOf<string>()
  })
  // For topics outside of the contract the caller states the type, as without a contract.
  client.consume<number>('q', ({ data }) => {
    expectTypeOf(data).toEqualTypeOf<number>()
  })
  expectTypeOf(client.request<number>('sums', [1])).toEqualTypeOf<Promise<number>>()
  client.respond<number[], number>('sums', ({ data }) => data.length)
}

// Types only, without validators.
function withoutSchemas(): void {
  interface Named {
    'photos.uploaded': Photo
    [notification: `notifications.${string}`]: string
    'prices.*': number
  }
  const client = connect<Named>('')
  void client.publish('notifications.tab-1', 'done')
  void client.publish('prices.gold', 1)
  // @ts-expect-error the wrong payload
  void client.publish('notifications.tab-1', 1)
  // @ts-expect-error a topic that the contract does not name
  void client.publish('photos.renamed', 1)
  client.subscribe('notifications.tab-1', ({ data }) => {
    expectTypeOf(data).toEqualTypeOf<string>()
  })
  client.subscribe('notifications.*', ({ data }) => {
    expectTypeOf(data).toEqualTypeOf<string>()
  })
  client.subscribe('photos.#', ({ data }) => {
    expectTypeOf(data).toEqualTypeOf<Photo>()
  })
  client.consume('q', ({ data }) => {
    expectTypeOf(data).toEqualTypeOf<Photo | string | number>()
  })

  const named = connect<Contract<Named, { thumbnails: Photo }, { sums: Exchange<number[], number> }>>('')
  named.consume('thumbnails', ({ data }) => {
    expectTypeOf(data).toEqualTypeOf<Photo>()
  })
  expectTypeOf(named.request('sums', [1])).toEqualTypeOf<Promise<number>>()

  const untyped: Client = connect('')
  void untyped.publish('any.thing', { n: 1 })
  untyped.subscribe('any.*', ({ data }) => {
    expectTypeOf(data).toEqualTypeOf<unknown>()
  })
  untyped.consume('q', ({ data }) => {
    expectTypeOf(data).toEqualTypeOf<unknown>()
  })
  expectTypeOf(untyped.request('sums')).toEqualTypeOf<Promise<unknown>>()
}

// `#` stands for no word, too, and `*` for exactly one.
function patterns(): void {
  interface Named {
    a: 0
    'a.b': 1
    'a.b.c': 2
    'x.#.z': 3
  }
  expectTypeOf<Payload<Named, 'a.#'>>().toEqualTypeOf<0 | 1 | 2>()
  expectTypeOf<Payload<Named, 'a.*'>>().toEqualTypeOf<1>()
  expectTypeOf<Payload<Named, 'a.#.c'>>().toEqualTypeOf<2>()
  expectTypeOf<Payload<Named, '*'>>().toEqualTypeOf<0>()
  expectTypeOf<Payload<Named, '#.b.#'>>().toEqualTypeOf<1 | 2 | 3>()
  expectTypeOf<Payload<Named, 'x.z'>>().toEqualTypeOf<3>()
  expectTypeOf<Payload<Named, 'x.y.y.z'>>().toEqualTypeOf<3>()
  expectTypeOf<Payload<Named, 'x.y'>>().toEqualTypeOf<unknown>()
}

function onTheHub(): void {
  expectTypeOf(defineOnHub).toEqualTypeOf(defineTopics)
  void startHub({ topics })
  // @ts-expect-error schemas without defineTopics are not a contract
  void startHub({ topics: { 'photos.uploaded': z.string() } })
}

it('compiles', () => {
  for (const checked of [types, conversions, withoutSchemas, patterns, onTheHub]) expectTypeOf(checked).toBeFunction()
})
