import { Buffer } from 'node:buffer'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { type Entry, encodeBlock, StoredBlock } from '../../server/broker/embedded/stored-block.ts'

const topic = fc.constantFrom('a', 'a.b', 'a.c', 'b', 'b.c.d')

const entries: fc.Arbitrary<Entry[]> = fc
  .array(
    fc.record({
      step: fc.integer({ min: 1, max: 1000 }),
      later: fc.nat(5),
      topic,
      key: fc.option(fc.string({ unit: 'binary', maxLength: 20 }), { nil: undefined }),
      expiresAt: fc.option(fc.maxSafeNat(), { nil: undefined }),
      back: fc.nat(10),
      wire: fc.oneof(
        fc.string({ unit: 'binary', maxLength: 400 }),
        fc.uint8Array({ maxLength: 400 }).map((bytes) => Buffer.from(bytes)),
      ),
    }),
    { minLength: 1, maxLength: 60 },
  )
  .map((drafts) => {
    let [offset, time] = [0, 1000]
    return drafts.map(({ step, later, ...entry }) => {
      offset += step
      time += later
      return { ...entry, offset, time }
    })
  })

it('a block holds what was put into it, and each stretch of it as it goes over the wire', () => {
  fc.assert(
    fc.property(entries, fc.nat(), fc.nat(), (written, a, b) => {
      const block = new StoredBlock(encodeBlock(written))
      expect(Array.from({ length: block.count }, (_, at) => block.entry(at))).toEqual(written)
      const [from, other] = [a % written.length, b % written.length]
      const offset = (written[other] as Entry).offset
      expect([block.find(offset), block.find(offset + 1)]).toEqual([other, other + 1])
      let to = from + 1
      while (to < written.length && block.isBinary(to) === block.isBinary(from)) to++
      const wires = written.slice(from, to).map(({ wire }) => wire)
      const joined = block.isBinary(from) ? Buffer.concat(wires as Buffer[]) : Buffer.from(wires.join(','))
      expect(block.wires(from, to)).toEqual(joined)
    }),
  )
})

it('a block with any changed byte is refused', () => {
  fc.assert(
    fc.property(entries, fc.nat(), fc.integer({ min: 1, max: 255 }), (written, place, change) => {
      const bytes = encodeBlock(written)
      bytes[place % bytes.length] = (bytes[place % bytes.length] as number) ^ change
      expect(() => new StoredBlock(bytes)).toThrow(expect.objectContaining({ code: 'data_damaged' }))
    }),
  )
})
