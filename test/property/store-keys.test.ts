import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { parkedKey, under, valueKey } from '../../server/broker/embedded/store/keys.ts'
import { LmdbStore } from '../../server/broker/embedded/store/lmdb-store.ts'
import { MemoryStore } from '../../server/broker/embedded/store/memory-store.ts'
import type { Store } from '../../server/broker/embedded/store/store.ts'

let folder: string
const stores: Record<string, Store> = { memory: new MemoryStore() }
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fanfare-keys-'))
  stores['lmdb'] = await LmdbStore.open(folder)
})
afterAll(async () => {
  await Promise.all(Object.values(stores).map((store) => store.close()))
  await rm(folder, { recursive: true })
})

const EDGES = [
  '\u{10ffff}',
  '\u{10ffff}\u{10ffff}x',
  '\uffff',
  '\ue000',
  '',
  '\u0000',
  '\u0001',
  '\u0004',
  '~',
  'x'.repeat(100),
]
const texts = fc.oneof(fc.constantFrom(...EDGES), fc.string({ unit: 'grapheme', maxLength: 80 }))

it.each(['memory', 'lmdb'])(
  'a table has all of its records whatever their keys are, and no others: %s',
  async (name) => {
    await fc.assert(
      fc.asyncProperty(fc.uniqueArray(texts, { minLength: 1, maxLength: 10 }), async (keys) => {
        const store = stores[name] as Store
        const value = Buffer.from('1')
        const mine = keys.flatMap((key) => [parkedKey(7, key), valueKey(7, 'a.b', key)])
        const others = keys.flatMap((key) => [6, 8].map((id) => parkedKey(id, key)))
        others.push(...keys.flatMap((key) => ['a', 'a.bc', 'a.b.c'].map((topic) => valueKey(7, topic, key))))
        await store.commit(
          [...mine, ...others].map((key) => ({ key, value })),
          'room',
        )
        const found = (...start: (string | number)[]) =>
          [...store.range(under(...start))].map(([key]) => key.at(-1) as string).sort()
        expect(found('p', 7)).toEqual([...keys].sort())
        expect(found('v', 7, 'a.b')).toEqual([...keys].sort())
        await store.commit(
          [...mine, ...others].map((key) => ({ key, value: undefined })),
          'room',
        )
      }),
      { numRuns: 40 },
    )
  },
)
