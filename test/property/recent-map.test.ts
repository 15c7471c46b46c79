import fc from 'fast-check'
import { expect, it } from 'vitest'
import { RecentMap } from '../../shared/recent-map.ts'

const LEAST = 4

it('a map of what was used last has the last ones, each with its value, and at most twice as many', () => {
  const act = fc.record({ do: fc.constantFrom('get', 'set', 'set', 'delete'), key: fc.nat(12), value: fc.nat() })
  fc.assert(
    fc.property(fc.array(act, { maxLength: 200, size: 'max' }), (acts) => {
      const map = new RecentMap<number, number>(LEAST)
      const model = new Map<number, number>()
      // The keys that were used since one was deleted, the last used last.
      let used: number[] = []
      for (const { do: what, key, value } of acts) {
        if (what === 'set') {
          map.set(key, value)
          model.set(key, value)
        } else if (what === 'delete') {
          map.delete(key)
          model.delete(key)
          expect(map.get(key)).toBe(undefined)
          used = []
          continue
        } else if (map.get(key) === undefined) {
          expect(used.slice(-LEAST)).not.toContain(key)
          continue
        } else expect(map.get(key)).toBe(model.get(key))
        used = [...used.filter((each) => each !== key), key]
        const held = new Map(map)
        expect(held.size).toBe(map.size)
        expect(map.size).toBeLessThanOrEqual(2 * LEAST)
        for (const recent of used.slice(-LEAST)) expect(held.get(recent)).toBe(model.get(recent))
      }
    }),
  )
})
